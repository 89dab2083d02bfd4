package caller

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// streamable is a client of 2025-03-26 to 2025-11-25: /mcp with a session, and a
// stream of its own for what the server has to say.
type streamable struct {
	*web
	version string
	set     map[string]string
	stream  chan struct{}
	end     context.CancelFunc // of the stream
}

func (s *streamable) Open(ctx context.Context) error {
	s.set = nil
	id, body := s.initialize(s.version)
	res, err := s.post(ctx, s.gate+"/mcp", body, nil)
	if err != nil {
		return err
	}
	session := res.Header.Get("Mcp-Session-Id")
	var r Reply
	if _, err := s.read(ctx, res, id, &r, false); err != nil {
		return err
	}
	s.set = map[string]string{"Mcp-Session-Id": session, "MCP-Protocol-Version": s.version}
	if s.version == string(March) {
		delete(s.set, "MCP-Protocol-Version") // the header is 2025-06-18's
	}
	_, body = s.request("notifications/initialized", nil, true)
	if res, err = s.post(ctx, s.gate+"/mcp", body, s.set); err != nil {
		return err
	}
	_ = res.Body.Close()
	return s.listen()
}

// listen holds a stream open until it ends.
func (s *streamable) listen() error {
	ctx, cancel := context.WithCancel(context.Background())
	waiting := time.AfterFunc(patience, cancel) // for its head alone
	res, err := s.get(ctx, s.gate+"/mcp", s.set)
	waiting.Stop()
	if err != nil {
		cancel()
		return err
	}
	s.end, s.stream = cancel, make(chan struct{})
	go func(ended chan struct{}) {
		_, _ = io.Copy(io.Discard, res.Body) // its end is what counts
		_ = res.Body.Close()
		close(ended)
	}(s.stream)
	return nil
}

func (s *streamable) Stream() <-chan struct{} { return s.stream }

func (s *streamable) Call(ctx context.Context, a Ask) (Reply, error) {
	select {
	case <-s.stream: // a reload cut it, say: the session is as good as before
		s.end()
		if err := s.listen(); err != nil {
			return Reply{}, err
		}
	default:
	}
	var r Reply
	id, body := s.request("tools/call", a.params(nil), false)
	asking, lose := context.WithCancel(ctx)
	defer lose()
	res, err := s.post(asking, s.gate+"/mcp", body, s.set)
	if err != nil {
		return r, err
	}
	last, err := s.read(ctx, res, id, &r, a.Break)
	if !errors.Is(err, errBroken) {
		return r, err
	}
	lose()
	set := map[string]string{"Last-Event-ID": last}
	for name, value := range s.set {
		set[name] = value
	}
	if res, err = s.get(ctx, s.gate+"/mcp", set); err != nil {
		return r, err
	}
	_, err = s.read(ctx, res, id, &r, false)
	return r, err
}

// errBroken says that the caller itself went away from a stream, as it meant to.
var errBroken = errors.New("broken off")

// read takes an answer in either of its two forms. lose breaks off after the
// first event with an id, which is returned.
func (w *web) read(ctx context.Context, res *http.Response, id int, r *Reply, lose bool) (last string, err error) {
	defer func() { _ = res.Body.Close() }()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		body, err := io.ReadAll(io.LimitReader(res.Body, mostOfAnswer))
		if err != nil {
			return "", failed(ctx, err)
		}
		if done, err := r.take(body, id); err != nil || done {
			return "", err
		}
		return "", &Wrong{Want: "an answer", Got: string(body)}
	}
	events := bufio.NewReader(res.Body)
	for {
		e, err := nextEvent(events)
		if err != nil {
			return last, failed(ctx, err)
		}
		if e.data != "" {
			if done, err := r.take([]byte(e.data), id); err != nil || done {
				return last, err
			}
		}
		if last = e.id; lose && last != "" {
			return last, errBroken
		}
	}
}

const (
	patience = 30 * time.Second // for the head of a stream
	goodbye  = 2 * time.Second
)

func (s *streamable) Close() {
	if s.end != nil {
		s.end()
	}
	if s.set != nil {
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		if req, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.gate+"/mcp", nil); err == nil {
			if res, err := s.do(req, "application/json", s.set); err == nil {
				_ = res.Body.Close()
			}
		}
	}
	s.http.CloseIdleConnections()
	s.set, s.stream, s.end = nil, nil, nil
}
