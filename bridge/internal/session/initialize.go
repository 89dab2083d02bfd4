package session

import (
	"bytes"
	"strconv"

	"gatehouse/bridge/internal/rpc"
)

// keptInit is what a session keeps of its client's initialize, for a child that
// is started anew: it says the same, and holds on to nothing of the body that it
// came in.
func keptInit(m *rpc.Message) []byte {
	if len(m.Line) <= rpc.MaxKept {
		return bytes.Clone(m.Line)
	}
	params := m.Params()
	info, capabilities := rpc.Brief(params)
	if info == nil {
		info = []byte(`{"name":"unknown","version":"0"}`)
	}
	if capabilities == nil {
		capabilities = []byte("{}")
	}
	return []byte(`{"jsonrpc":"2.0","id":"gh-init","method":"initialize","params":{"protocolVersion":` +
		rpc.ShortMember(params, "protocolVersion", strconv.Quote(rpc.Version20251125)) +
		`,"capabilities":` + string(capabilities) + `,"clientInfo":` + string(info) + `}}`)
}
