package session

import (
	"context"
	"strconv"

	"gatehouse/bridge/internal/rpc"
)

// settings are what a client told its child for good: a child that takes the
// place of one that ended must be told it again, or the client waits for
// updates that never come.
type settings struct {
	level []byte            // raw params of the last logging/setLevel
	uris  map[string][]byte // raw params of each resources/subscribe in force
}

const maxURIs = 1024 // subscriptions that are remembered for one session

// note remembers a request that settles something.
func (s *Session) note(m *rpc.Message) {
	switch m.Method {
	case methodSetLevel, methodSubscribe, methodUnsubscribe:
	default:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.Method == methodSetLevel:
		s.kept.level = m.Params()
	case m.Method == methodUnsubscribe:
		delete(s.kept.uris, m.URI())
	case len(s.kept.uris) < maxURIs:
		if s.kept.uris == nil {
			s.kept.uris = map[string][]byte{}
		}
		s.kept.uris[m.URI()] = m.Params()
	}
}

// restore tells a new child what the client told the last one. What it does
// not take any more is left: the client learns of it at its next call.
func (s *Session) restore(link *Link) {
	ctx, cancel := context.WithTimeout(context.Background(), s.server.limits.Start)
	defer cancel()
	s.mu.Lock()
	var lines [][]byte
	add := func(method string, params []byte) {
		id := "gh-restore-" + strconv.Itoa(len(lines))
		lines = append(lines, []byte(`{"jsonrpc":"2.0","id":"`+id+`","method":"`+method+`","params":`+string(params)+`}`))
	}
	if s.kept.level != nil && !link.conn.shared { // a shared child's level is nobody's own
		add(methodSetLevel, s.kept.level)
	}
	for _, params := range s.kept.uris {
		add(methodSubscribe, params)
	}
	s.mu.Unlock()
	for _, line := range lines {
		_, _ = link.ask(ctx, line)
	}
}
