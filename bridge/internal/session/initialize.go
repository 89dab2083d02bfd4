package session

import (
	"bytes"
	"strconv"

	"gatehouse/bridge/internal/rpc"
)

// What a session keeps of its client's initialize, for a child that is started
// anew. One that is longer is kept without what no server needs, such as icons.
const (
	maxInit   = 8 << 10 // bytes of the whole
	maxMember = 2 << 10 // bytes of one member of a longer one
)

// keptInit is an initialize that says the same in at most maxInit bytes and
// holds on to nothing of the body that it came in.
func keptInit(m *rpc.Message) []byte {
	if len(m.Line) <= maxInit {
		return bytes.Clone(m.Line)
	}
	params := m.Params()
	short := func(of []byte, name, otherwise string) string {
		at := rpc.MemberOf(of, name)
		if at.None() || at.End-at.Start > maxMember {
			return otherwise
		}
		return string(of[at.Start:at.End])
	}
	info := []byte(nil)
	if at := rpc.MemberOf(params, "clientInfo"); !at.None() {
		info = params[at.Start:at.End]
	}
	return []byte(`{"jsonrpc":"2.0","id":"gh-init","method":"initialize","params":{"protocolVersion":` +
		short(params, "protocolVersion", strconv.Quote(rpc.Version20251125)) +
		`,"capabilities":` + short(params, "capabilities", "{}") +
		`,"clientInfo":{"name":` + short(info, "name", `"unknown"`) + `,"version":` + short(info, "version", `"0"`) + `}}}`)
}
