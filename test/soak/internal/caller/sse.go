package caller

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"time"
)

// sse is a client of 2024-11-05: answers come on the stream of GET /sse.
type sse struct {
	*web
	endpoint string
	events   chan event
	stream   chan struct{}
	end      context.CancelFunc
}

func (s *sse) Open(ctx context.Context) error {
	streaming, cancel := context.WithCancel(context.Background())
	waiting := time.AfterFunc(patience, cancel)
	res, err := s.get(streaming, s.gate+"/sse", nil)
	waiting.Stop()
	if err != nil {
		cancel()
		return err
	}
	s.end, s.stream, s.events = cancel, make(chan struct{}), make(chan event, 64)
	go func(ended chan struct{}, events chan event) {
		defer close(ended)
		defer func() { _ = res.Body.Close() }()
		for r := bufio.NewReader(res.Body); ; {
			e, err := nextEvent(r)
			if err != nil {
				return
			}
			select {
			case events <- e:
			case <-streaming.Done():
				return
			}
		}
	}(s.stream, s.events)
	first, err := s.next(ctx)
	if err != nil {
		return err
	}
	at, err := url.Parse(first.data)
	if err != nil || first.name != "endpoint" {
		return &Wrong{Want: "an endpoint event", Got: first.name + " " + first.data}
	}
	s.endpoint = s.gate + at.RequestURI()
	id, body := s.initialize(string(SSE))
	if err := s.send(ctx, body); err != nil {
		return err
	}
	var r Reply
	if err := s.answer(ctx, id, &r); err != nil {
		return err
	}
	_, body = s.request("notifications/initialized", nil, true)
	return s.send(ctx, body)
}

func (s *sse) next(ctx context.Context) (event, error) {
	select {
	case e := <-s.events:
		return e, nil
	default:
	}
	select {
	case e := <-s.events:
		return e, nil
	case <-s.stream:
		select {
		case e := <-s.events: // what came before the end is told
			return e, nil
		default:
			return event{}, &Cut{Err: errEnded}
		}
	case <-ctx.Done():
		return event{}, fmt.Errorf("%w: on the stream", ErrSilent)
	}
}

func (s *sse) answer(ctx context.Context, id int, r *Reply) error {
	for {
		e, err := s.next(ctx)
		if err != nil {
			return err
		}
		if e.data == "" {
			continue
		}
		if done, err := r.take([]byte(e.data), id); err != nil || done {
			return err
		}
	}
}

func (s *sse) send(ctx context.Context, body []byte) error {
	res, err := s.post(ctx, s.endpoint, body, nil)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (s *sse) Call(ctx context.Context, a Ask) (r Reply, err error) {
	select {
	case <-s.stream: // and with it the session
		return r, &Cut{Err: errEnded}
	default:
	}
	id, body := s.request("tools/call", a.params(nil), false)
	if err := s.send(ctx, body); err != nil {
		return r, err
	}
	err = s.answer(ctx, id, &r)
	return r, err
}

func (s *sse) Stream() <-chan struct{} { return s.stream }

func (s *sse) Close() {
	if s.end != nil {
		s.end()
	}
	s.http.CloseIdleConnections()
	s.end, s.stream, s.events = nil, nil, nil
}
