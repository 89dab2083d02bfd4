package connect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// postIn sends what has no answer.
func (r *run) postIn(ctx context.Context, s *session, m *rpc.Message) error {
	u, h := r.url, s.header()
	if s.endpoint != nil {
		u = s.endpoint
	} else if v := m.Version(); v != "" {
		h = modernHeader(m)
	}
	res, err := r.do(ctx, http.MethodPost, u, h, m.Line)
	if err != nil {
		return err
	}
	defer discard(res)
	return r.accepted(s, res)
}

// accepted is nil where the server took the message.
func (r *run) accepted(s *session, res *http.Response) error {
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return nil
	case res.StatusCode == http.StatusNotFound && (s.id.Load() != nil || s.endpoint != nil):
		s.over()
		return errOver
	}
	return refusal(res)
}

// refusal keeps the body of a JSON-RPC error: it is meant for the client.
func refusal(res *http.Response) error {
	e := &statusError{status: res.StatusCode}
	if mediaType(res) != "application/json" {
		return e
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	if err != nil {
		return e
	}
	if m, err := rpc.ParseClient(body); err == nil && m.Failed {
		e.body = m.Line
	}
	return e
}

func mediaType(res *http.Response) string {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return kind
}

// callHTTP makes a call over Streamable HTTP and hears all that comes with the
// answer.
func (r *run) callHTTP(s *session, c *call, m *rpc.Message) error {
	for again := false; ; again = true {
		err := r.callOnce(s, c, m)
		switch {
		case c.method == rpc.Listen && c.ctx.Err() == nil && errors.Is(err, errLost):
			if !wait(c.ctx, firstWait) { // a subscription does nothing: it is made again
				return err
			}
		case !again && c.modern && c.method == rpc.CallTool && isMismatch(err):
			r.lookUp(c.ctx, s, m) // the tool has other headers than we know
		default:
			return err
		}
	}
}

func (r *run) callOnce(s *session, c *call, m *rpc.Message) error {
	h := s.header()
	if c.modern {
		h = modernHeader(m)
		r.tools.mirror(h, m)
	}
	res, err := r.do(c.ctx, http.MethodPost, r.url, h, m.Line)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if err := r.accepted(s, res); err != nil {
		return err
	}
	if s.opened.Load() && !s.stands.Load() {
		r.wg.Go(func() { r.stand(s) })
	}
	if id := res.Header.Get(headerSession); id != "" && c.method == "initialize" {
		s.id.Store(&id)
	}
	switch kind := mediaType(res); kind {
	case "application/json":
		body, err := readAll(res.Body)
		if err != nil {
			return errLost
		}
		r.hear(body)
		if !c.answered() {
			return errors.New("the server's answer is not the answer to the call")
		}
		return nil
	case "text/event-stream":
		return r.follow(s, c, res.Body)
	default:
		return fmt.Errorf("the server answered with the media type %q", kind)
	}
}

// readAll reads one message of at most maxLine bytes.
func readAll(body io.Reader) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(io.LimitReader(body, maxLine+1))
	if err == nil && b.Len() > maxLine {
		err = rpc.ErrLineTooLong
	}
	return b.Bytes(), err
}

// place is where a stream was left.
type place struct {
	last  string        // id of the last event
	retry time.Duration // 0 where the server names none
}

// listen hears a stream to its end. enough, where not nil, ends it.
func (r *run) listen(stream *events, at *place, enough func() bool) (heard bool) {
	for enough == nil || !enough() {
		e, err := stream.next()
		if errors.Is(err, errEventTooLong) {
			r.log.Warn("a stream of the server was cut", "why", err.Error(), "bytes", maxLine)
		}
		if err != nil {
			return heard
		}
		heard = true
		if e.hasID {
			at.last = e.id
		}
		if e.retry > 0 {
			at.retry = min(e.retry, mostWait)
		}
		if len(e.data) > 0 && (e.name == "" || e.name == "message") {
			r.hear(e.data)
		}
	}
	return heard
}

// follow hears the stream that a call opened until its answer, and takes it up
// again where it breaks and the server has numbered its events.
func (r *run) follow(s *session, c *call, body io.Reader) error {
	var at place
	stream := newEvents(body, maxLine)
	r.listen(stream, &at, c.answered)
	if c.answered() { // a stream that is read to its end leaves its connection to others
		defer time.AfterFunc(lingerTime, c.cancel).Stop()
		r.listen(stream, &at, nil)
		return nil
	}
	for tries := 0; !c.answered(); tries++ {
		switch {
		case at.last == "" || c.modern || tries == resumes: // 2026-07-28 resumes nothing
			return errLost
		case !wait(c.ctx, at.pause(tries)):
			return c.ctx.Err()
		case c.answered(): // by another stream
			return nil
		}
		res, err := r.open(c.ctx, s, at.last)
		if err != nil {
			continue
		}
		if res.StatusCode == http.StatusOK && r.listen(newEvents(res.Body, maxLine), &at, c.answered) {
			tries = -1
		}
		_ = res.Body.Close()
		if res.StatusCode >= 400 && res.StatusCode < 500 {
			return errLost
		}
	}
	return nil
}

// pause is how long to wait before a stream is taken up, the nth time in a row
// that nothing came.
func (p *place) pause(n int) time.Duration {
	d := p.retry
	if d == 0 {
		d = firstWait
	}
	for range max(n, 0) {
		d = later(d)
	}
	return d
}

// open asks for a stream: the standing one, or the one that last belongs to.
func (r *run) open(ctx context.Context, s *session, last string) (*http.Response, error) {
	h := s.header()
	h.Set("Accept", acceptStream)
	if last != "" {
		h.Set(headerLast, last)
	}
	res, err := r.do(ctx, http.MethodGet, r.url, h, nil)
	if err == nil && res.StatusCode == http.StatusOK && mediaType(res) != acceptStream {
		_ = res.Body.Close()
		return nil, errors.New("the server opened no stream")
	}
	return res, err
}

// stand opens the session's standing stream, once, and waits a while until it
// is open: what a server says before, it may say to nobody.
func (r *run) stand(s *session) {
	s.opened.Store(true)
	if s.endpoint != nil || !s.stands.CompareAndSwap(false, true) {
		return
	}
	opened := make(chan struct{})
	r.wg.Go(func() { r.standing(s, sync.OnceFunc(func() { close(opened) })) })
	patience := time.NewTimer(standTime)
	defer patience.Stop()
	select {
	case <-opened:
	case <-patience.C:
	}
}

func (r *run) standing(s *session, opened func()) {
	defer opened()
	var at place
	for tries := 0; s.ctx.Err() == nil; tries++ {
		res, err := r.open(quietly(s.ctx), s, at.last)
		opened()
		if err == nil {
			status := res.StatusCode
			if status == http.StatusOK && r.listen(newEvents(res.Body, maxLine), &at, nil) {
				tries = -1
			}
			_ = res.Body.Close()
			if status == http.StatusUnauthorized {
				s.stands.Store(false) // until a call has signed in
				return
			}
			if status >= 400 && status < 500 {
				if at.last == "" || status == http.StatusNotFound {
					r.refusedStream(s, status)
					return
				}
				at.last = "" // what was missed is not kept: hear what comes
			}
		}
		wait(s.ctx, at.pause(tries))
	}
}

// refusedStream is a session that is over, or a server without such a stream.
func (r *run) refusedStream(s *session, status int) {
	if status != http.StatusNotFound || s.id.Load() == nil {
		r.log.Debug("the server has no standing stream", "status", status)
		return
	}
	if _, err := r.renew(quietly(r.ctx), s); err != nil && r.ctx.Err() == nil {
		s.over()
		r.log.Warn("the session is over and a new one cannot be had yet", "why", err.Error())
	}
}
