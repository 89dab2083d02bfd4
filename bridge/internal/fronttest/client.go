package fronttest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for what must come: long for a slow machine,
// and less than the minute that a write may take.
const Patience = 40 * time.Second

// Reply is a whole answer.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Refused checks a clear no: the status and a JSON-RPC error that says why.
func (r Reply) Refused(t testing.TB, status int, says string) {
	t.Helper()
	if r.Status != status || !strings.HasPrefix(r.Body, `{"jsonrpc":"2.0","id":`) ||
		!strings.Contains(r.Body, `"error":`) ||
		!strings.Contains(r.Body, says) {
		t.Errorf("status %d, %.300s; want %d and a JSON-RPC error with %q", r.Status, r.Body, status, says)
	}
}

// Request makes a request; headers are pairs of name and value. As names the
// user, alice by default.
func (g *Gate) Request(ctx context.Context, method, path, body string, headers ...string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, g.URL+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// Do sends a request and reads the whole answer.
func (g *Gate) Do(t testing.TB, method, path, body string, headers ...string) Reply {
	t.Helper()
	r, err := g.Try(method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// Try is Do where no answer may come.
func (g *Gate) Try(method, path, body string, headers ...string) (Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	res, err := g.client.Do(g.Request(ctx, method, path, body, headers...))
	if err != nil {
		return Reply{}, err
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	raw, err := io.ReadAll(res.Body)
	return Reply{res.StatusCode, res.Header, string(raw)}, err
}

// Event is one event of a stream.
type Event struct{ ID, Name, Data string }

// Stream is an answer that has begun.
type Stream struct {
	Header http.Header
	in     *bufio.Reader
	t      testing.TB
	leave  func()
}

// Listen sends a request whose answer must be an event stream, and returns as
// soon as its headers are there.
func (g *Gate) Listen(t testing.TB, method, path, body string, headers ...string) *Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience/2)
	t.Cleanup(cancel)
	res, err := g.client.Do(g.Request(ctx, method, path, body, headers...))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	s := &Stream{res.Header, bufio.NewReader(res.Body), t, func() { cancel(); _ = res.Body.Close() }}
	t.Cleanup(s.leave)
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != "text/event-stream" {
		raw, _ := io.ReadAll(res.Body)
		t.Fatalf("%s %s: %s, %s %s; want a stream", method, path, res.Status, kind, raw)
	}
	return s
}

// Leave goes away without a word.
func (s *Stream) Leave() { s.leave() }

// Next is the next event.
func (s *Stream) Next() Event {
	s.t.Helper()
	e, err := s.next()
	if err != nil {
		s.t.Fatalf("the stream ended: %v", err)
	}
	return e
}

// Find is the next event whose data hold the text.
func (s *Stream) Find(text string) Event {
	s.t.Helper()
	for {
		if e := s.Next(); strings.Contains(e.Data, text) {
			return e
		}
	}
}

// Rest reads to the end, which must come, and not in the middle of something.
func (s *Stream) Rest() (all []Event) {
	s.t.Helper()
	for {
		e, err := s.next()
		if errors.Is(err, context.DeadlineExceeded) {
			s.t.Fatal("the stream does not end")
		}
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			s.t.Fatalf("the stream broke off: %v", err)
		}
		all = append(all, e)
	}
}

func (s *Stream) next() (e Event, err error) {
	for {
		line, err := s.in.ReadString('\n')
		if errors.Is(err, io.EOF) && (line != "" || e != (Event{})) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.ID = value
		case "event":
			e.Name = value
		case "data":
			e.Data = value
		case "":
			if e != (Event{}) {
				return e, nil
			}
		}
	}
}

// Initialize is the message that begins a session of the version.
func Initialize(version string) string {
	return fmt.Sprintf(
		`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":%q,`+
			`"capabilities":{"elicitation":{}},"clientInfo":{"name":"test","version":"1"}}}`,
		version,
	)
}

// Call is a tools/call of the child's tool; the id is its progress token too.
func Call(id, tool, text string, n int) string {
	return fmt.Sprintf(
		`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":%q,"arguments":{"text":%q,"n":%d},`+
			`"_meta":{"progressToken":%s}}}`,
		id,
		tool,
		text,
		n,
		id,
	)
}
