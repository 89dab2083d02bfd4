package session

import "gatehouse/bridge/internal/rpc"

// On a shared child a resource is subscribed to once for all who want it, so
// each link remembers its own, and an unsubscribe reaches the child only with
// the last of them.

const (
	methodSubscribe   = "resources/subscribe"
	methodUnsubscribe = "resources/unsubscribe"
	methodListen      = "subscriptions/listen"
	methodSetLevel    = "logging/setLevel"
)

// answersAlone answers an unsubscribe that other links stand against. The lock
// is held.
func (l *Link) answersAlone(call *Call, m *rpc.Message) bool {
	if call.Method != methodSubscribe && call.Method != methodUnsubscribe {
		return false
	}
	call.uri = m.URI()
	if call.Method == methodSubscribe {
		return false
	}
	delete(l.uris, call.uri)
	for other := range l.conn.links {
		if other != l && other.subscribed(call.uri) {
			call.deliver(Event{Kind: rpc.Response, Final: true, line: rpc.ResultBody(call.id, []byte("{}"))}, "ok")
			return true
		}
	}
	return false
}

// note remembers a subscription that the child accepted. The lock is held.
func (l *Link) note(call *Call, failed bool) {
	if call.Method != methodSubscribe || failed || call.uri == "" {
		return
	}
	if l.uris == nil {
		l.uris = map[string]struct{}{}
	}
	l.uris[call.uri] = struct{}{}
}

func (l *Link) subscribed(uri string) bool {
	_, ok := l.uris[uri]
	return ok
}
