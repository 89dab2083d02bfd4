package connect

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// session is what the older eras call one: a connection of the client with the
// server. For 2026-07-28 it is empty.
type session struct {
	id       atomic.Pointer[string] // Mcp-Session-Id; nil where the server gave none
	version  atomic.Pointer[string] // that initialize agreed on
	endpoint *url.URL               // where to POST, in HTTP+SSE; nil in Streamable HTTP
	ctx      context.Context        // done when the session is over
	over     context.CancelFunc
	opened   atomic.Bool // initialize is over, as the client has said
	stands   atomic.Bool // its standing stream is open, or the server has none
}

func (r *run) newSession() *session {
	s := &session{}
	s.ctx, s.over = context.WithCancel(r.ctx)
	return s
}

func (s *session) header() http.Header {
	h := http.Header{}
	if id := s.id.Load(); id != nil {
		h.Set(headerSession, *id)
	}
	if v := s.version.Load(); v != nil && s.endpoint == nil {
		h.Set(headerVersion, *v)
	}
	return h
}

// memory is what the client has said that a new session must hear too. The
// run's lock guards it.
type memory struct {
	initialize  []byte
	initialized []byte
	level       []byte
	uris        map[string][]byte // the line that subscribed to each
}

// maxURIs bounds what is said again in a new session.
const maxURIs = 1024

func (r *run) remember(m *rpc.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch m.Method {
	case "initialize":
		r.heard = memory{initialize: m.Line, uris: map[string][]byte{}}
	case "notifications/initialized":
		r.heard.initialized = m.Line
	case "logging/setLevel":
		r.heard.level = m.Line
	case "resources/subscribe":
		if uri := m.URI(); r.heard.uris != nil && len(r.heard.uris) < maxURIs {
			r.heard.uris[uri] = m.Line
		}
	case "resources/unsubscribe":
		delete(r.heard.uris, m.URI())
	}
}

// answered forgets an initialize that failed.
func (h *memory) answered(c *call, m *rpc.Message) {
	if m.Failed && c.method == "initialize" && c.own == nil {
		h.initialize = nil
	}
}

// current is the session to send in. One that is over is opened anew.
func (r *run) current(ctx context.Context) (*session, error) {
	r.mu.Lock()
	s := r.sess
	if s == nil {
		s = r.newSession()
		r.sess = s
	}
	r.mu.Unlock()
	if s.ctx.Err() == nil {
		return s, nil
	}
	return r.renew(ctx, s)
}

// renew opens a session in the place of one that is over, and says in it what
// the client has said. Of several that ask, one does it.
func (r *run) renew(ctx context.Context, old *session) (*session, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	now, heard := r.sess, r.heard
	heard.uris = maps.Clone(heard.uris)
	r.mu.Unlock()
	if now != old {
		return now, nil
	}
	old.over()
	s := r.newSession()
	if old.endpoint != nil {
		if err := r.openStream(ctx, s); err != nil {
			s.over()
			return nil, err
		}
	}
	if err := r.replay(ctx, s, heard); err != nil {
		s.over()
		return nil, err
	}
	r.mu.Lock()
	r.sess = s
	r.mu.Unlock()
	r.log.Info("a new session takes the place of one that is over")
	r.stand(s)
	return s, nil
}

func (r *run) replay(ctx context.Context, s *session, heard memory) error {
	if heard.initialize == nil {
		return nil
	}
	answer, err := r.ask(ctx, s, heard.initialize)
	if err != nil {
		return err
	}
	if answer.Failed {
		return errors.New("the server refuses to open the session anew")
	}
	s.agree(answer)
	if heard.initialized == nil {
		return nil
	}
	m, err := rpc.Parse(heard.initialized)
	if err != nil {
		return err
	}
	if err := r.postIn(ctx, s, &m); err != nil {
		return err
	}
	again := make([][]byte, 0, len(heard.uris)+1)
	if heard.level != nil {
		again = append(again, heard.level)
	}
	for _, line := range heard.uris {
		again = append(again, line)
	}
	for _, line := range again {
		if _, err := r.ask(ctx, s, line); err != nil {
			r.log.Warn("the new session did not take what the client had said", "why", err.Error())
		}
	}
	return nil
}

// agree notes the version that initialize agreed on.
func (s *session) agree(answer *rpc.Message) {
	if at := rpc.MemberOf(answer.Result(), "protocolVersion"); !at.None() {
		v := rpc.Text(answer.Result()[at.Start:at.End])
		s.version.Store(&v)
	}
}

// send makes a call in the session that there is. A call that the server did
// not take, for its session was over, is made again in a new one.
func (r *run) send(c *call, m *rpc.Message) error {
	if c.method == "initialize" {
		r.startOver()
	}
	s, err := r.current(c.ctx)
	if err != nil {
		return err
	}
	err = r.sendIn(s, c, m)
	if c.opens() {
		err = r.fallBack(s, c, m, err)
	}
	if errors.Is(err, errOver) && c.method != "initialize" {
		if s, err = r.renew(c.ctx, s); err != nil {
			return err
		}
		return r.sendIn(s, c, m)
	}
	return err
}

// startOver lets go of a session that the client itself begins anew.
func (r *run) startOver() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sess != nil && r.sess.id.Load() != nil {
		r.sess.over()
		r.sess = nil
	}
}

func (r *run) sendIn(s *session, c *call, m *rpc.Message) error {
	if s.endpoint != nil {
		return r.callStream(s, c, m)
	}
	return r.callHTTP(s, c, m)
}

// post sends what has no answer. In a new session an answer to a question of
// the old one is nobody's.
func (r *run) post(ctx context.Context, m *rpc.Message) error {
	s, err := r.current(ctx)
	if err != nil {
		return err
	}
	err = r.postIn(ctx, s, m)
	if errors.Is(err, errOver) {
		if s, err = r.renew(ctx, s); err == nil && m.Kind == rpc.Notification && m.Method != "notifications/cancelled" {
			err = r.postIn(ctx, s, m)
		}
	}
	if err == nil && m.Method == "notifications/initialized" {
		r.stand(s)
	}
	return err
}

// leave tells the server that the session is over.
func (r *run) leave() {
	s := r.sess
	if s == nil || s.endpoint != nil || s.id.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), byeTime)
	defer cancel()
	res, err := r.once(ctx, http.MethodDelete, r.url, s.header(), nil)
	if err == nil {
		_ = res.Body.Close()
	}
}

// wait sleeps, and reports false where the context ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// later doubles a wait up to mostWait.
func later(d time.Duration) time.Duration { return min(2*d, mostWait) }
