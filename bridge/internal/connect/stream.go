package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/bridge/internal/connect/outbound"
	"gatehouse/bridge/internal/rpc"
)

// fallBack tries HTTP+SSE where the server refused to be asked by POST
// (2025-03-26, basic/transports, "Backwards Compatibility"). A refusal in
// JSON-RPC is of a server that was reached, but where it says that only GET is
// allowed.
func (r *run) fallBack(s *session, c *call, m *rpc.Message, err error) error {
	var refused *statusError
	if !errors.As(err, &refused) || s.endpoint != nil {
		return err
	}
	switch refused.status {
	case http.StatusMethodNotAllowed:
	case http.StatusNotFound, http.StatusBadRequest:
		if refused.body != nil {
			return err
		}
	default:
		return err
	}
	older := r.newSession()
	if no := r.openStream(c.ctx, older); no != nil {
		older.over()
		r.log.Debug("the server has no stream of 2024-11-05 either", "why", no.Error())
		return err
	}
	s.over()
	r.mu.Lock()
	r.sess = older
	r.mu.Unlock()
	return r.callStream(older, c, m)
}

// openStream opens the stream of HTTP+SSE and waits for its first event, which
// names where to POST. The session is over when the stream breaks.
func (r *run) openStream(ctx context.Context, s *session) error {
	defer context.AfterFunc(ctx, s.over)()
	h, life := http.Header{"Accept": {acceptStream}}, s.ctx
	if quiet(ctx) {
		life = quietly(life)
	}
	res, err := r.do(life, http.MethodGet, r.url, h, nil)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || mediaType(res) != acceptStream {
		_ = res.Body.Close()
		return &statusError{status: res.StatusCode}
	}
	stream := newEvents(res.Body, maxLine)
	first, err := stream.next()
	if err == nil {
		err = r.readEndpoint(s, first)
	}
	if err != nil {
		_ = res.Body.Close()
		return err
	}
	r.wg.Go(func() {
		defer func() { _ = res.Body.Close() }()
		defer s.over()
		for {
			e, err := stream.next()
			if err != nil {
				return
			}
			if len(e.data) > 0 && (e.name == "" || e.name == "message") {
				r.hear(e.data)
			}
		}
	})
	r.wg.Go(func() { r.keep(s) })
	return nil
}

// readEndpoint takes the address only at the server's own origin: the token
// goes there.
func (r *run) readEndpoint(s *session, e event) error {
	if e.name != "endpoint" {
		return errors.New("the stream does not begin with its endpoint")
	}
	u, err := r.url.Parse(string(e.data))
	if err != nil {
		return errors.New("the endpoint of the stream is not a URL")
	}
	if !outbound.SameOrigin(u, r.url) || u.User != nil {
		return fmt.Errorf(
			"%w: the endpoint of the stream is at another origin, %s",
			outbound.ErrForbidden,
			outbound.Origin(u),
		)
	}
	s.endpoint = u
	return nil
}

// keep opens the stream anew when it breaks, so that the client hears what
// comes unasked.
func (r *run) keep(s *session) {
	<-s.ctx.Done()
	for pause := firstWait; r.ctx.Err() == nil; pause = later(pause) {
		if !wait(r.ctx, pause) {
			return
		}
		_, err := r.renew(quietly(r.ctx), s)
		var refused *statusError
		if err == nil || errors.As(err, &refused) && refused.status == http.StatusUnauthorized {
			return // the next call signs in
		}
	}
}

// callStream posts a call; its answer comes on the session's stream.
func (r *run) callStream(s *session, c *call, m *rpc.Message) error {
	if err := r.postIn(c.ctx, s, m); err != nil {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-s.ctx.Done():
		return errLost
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}
