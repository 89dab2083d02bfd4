package session

import (
	"bytes"
	"context"
	"strconv"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// answerInitialize answers for a child that the bridge initialised itself.
func (s *Session) answerInitialize(
	ctx context.Context, who *contract.Identity, c *mux.Conn, m *rpc.Message, sink event.Sink,
) error {
	if c.Ready().Modern {
		return &rpc.Error{Code: rpc.CodeMethodNotFound, Message: "the server speaks only " + rpc.Version20260728}
	}
	if s.server.Limits().Sleep > 0 {
		s.learn(s.asks(m.Params()), c.Ready().Result)
	}
	return s.answer(ctx, who, m, withVersion(m.Params(), c.Ready().Result), sink)
}

// withVersion is the result with the version that the client asked for, where that
// is older than what the bridge agreed on with the child: a server that supports
// the version asked for must answer with it (2025-11-25, lifecycle), and each of
// these versions only adds to the one before.
func withVersion(params, result []byte) []byte {
	const member = "protocolVersion"
	at, from := rpc.MemberOf(result, member), rpc.MemberOf(params, member)
	asked := params[from.Start:from.End]
	if name := rpc.Text(asked); !rpc.HasSessions(name) || name >= rpc.Text(result[at.Start:at.End]) {
		return result
	}
	return rpc.AppendEdited(nil, result, rpc.Edit{At: at, With: asked})
}

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
