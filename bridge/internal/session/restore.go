package session

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// settings are what a client told its child for good, and the child took: a
// child that takes the place of one that ended must be told it again, or the
// client waits for updates that never come.
type settings struct {
	mu    sync.Mutex        // its own: an answer may come under the lock of a Conn
	level []byte            // raw params of the last logging/setLevel
	uris  map[string][]byte // raw params of each resources/subscribe in force
	bytes int               // of all of it
	over  bool              // something was not kept
}

const maxKept = 128 << 10 // bytes of settings that are remembered for one session

// settling is the sink of a request that settles something once it is granted.
type settling struct {
	event.Sink
	settings    *settings
	method, uri string
	params      []byte
}

// settles puts a settling before the sink where the request needs it. What the
// policy or the child refuses, or what ends the child, is told to no other.
func (s *Session) settles(m *rpc.Message, sink event.Sink) event.Sink {
	switch m.Method {
	case mux.MethodSetLevel, mux.MethodSubscribe, mux.MethodUnsubscribe:
		return &settling{sink, &s.settings, m.Method, m.URI(), m.Params()}
	}
	return sink
}

// Push implements Sink.
func (s *settling) Push(e event.Event) bool {
	if e.Final && !e.Failed && !e.Silent {
		s.settings.note(s.method, s.uri, s.params)
	}
	return s.Sink.Push(e)
}

func (k *settings) note(method, uri string, params []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if method == mux.MethodSetLevel {
		k.bytes -= len(k.level)
		k.level = nil
		if k.fits(len(params)) {
			k.level = bytes.Clone(params) // not the whole body
		}
		return
	}
	if old, ok := k.uris[uri]; ok {
		k.bytes -= len(uri) + len(old)
		delete(k.uris, uri)
	}
	if method == mux.MethodUnsubscribe || !k.fits(len(uri)+len(params)) {
		return
	}
	if k.uris == nil {
		k.uris = map[string][]byte{}
	}
	k.uris[uri] = bytes.Clone(params)
}

// fits counts n more bytes where there is room for them.
func (k *settings) fits(n int) bool {
	if k.bytes+n > maxKept {
		k.over = true
		return false
	}
	k.bytes += n
	return true
}

// restore tells a new child what the client told the last one, and may still tell
// it. What it does not take any more is left: the client learns of it at its next
// call.
func (s *Session) restore(link *mux.Link) {
	ctx, cancel := context.WithTimeout(context.Background(), s.server.Limits().Start)
	defer cancel()
	s.settings.mu.Lock()
	var lines [][]byte
	add := func(method string, params []byte) {
		id := "gh-restore-" + strconv.Itoa(len(lines))
		lines = append(lines, []byte(`{"jsonrpc":"2.0","id":"`+id+`","method":"`+method+`","params":`+string(params)+`}`))
	}
	if s.settings.level != nil && !link.Conn().Shared() { // a shared child's level is nobody's own
		add(mux.MethodSetLevel, s.settings.level)
	}
	for _, params := range s.settings.uris {
		add(mux.MethodSubscribe, params)
	}
	s.settings.mu.Unlock()
	who := s.latest()
	for _, line := range lines {
		m, err := rpc.Parse(line)
		if err == nil && s.server.Allows(ctx, who, &m, true) == nil {
			_, _ = link.Ask(ctx, line)
		}
	}
}

// latest is the session's caller as the last request showed him.
func (s *Session) latest() *mux.Caller {
	if now := s.now.Load(); now != nil {
		return now.caller
	}
	return s.caller
}
