package caller

import (
	"fmt"
	"time"

	"gatehouse/test/load/internal/wire"
)

// Visit is the first that a client does: it connects, opens a session and lists
// the tools there. The list is the raw answer; leave ends the session.
func Visit(target wire.Target, prefix string, timeout time.Duration) (list []byte, leave func(), err error) {
	s := &session{post: wire.New(target, timeout), path: prefix + "/mcp"}
	leave = s.Close
	if err := s.Open(); err != nil {
		return nil, leave, err
	}
	resp, err := s.post.Do("POST", s.path, s.header, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`))
	if err != nil {
		return nil, leave, fmt.Errorf("tools/list: %w", err)
	}
	if resp.Status != 200 {
		return nil, leave, fmt.Errorf("tools/list: status %d: %.200s", resp.Status, resp.Body)
	}
	return resp.Body, leave, nil
}
