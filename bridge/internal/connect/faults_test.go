package connect_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/test/freeport"
)

// TestANewSessionTakesThePlaceOfOneThatIsOver: after a 404 the client's own
// initialize, its log level and its subscriptions are said again, and the call
// is answered.
func TestANewSessionTakesThePlaceOfOneThatIsOver(t *testing.T) {
	var over sync.Map
	var sessions atomic.Int32
	front := func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := r.Header.Get("Mcp-Session-Id")
			if _, gone := over.Load(id); gone && id != "" {
				http.Error(w, "session not found", http.StatusNotFound)
				return
			}
			if id == "" {
				sessions.Add(1)
			}
			inner.ServeHTTP(w, r)
		})
	}
	var last atomic.Pointer[string]
	record := func(inner http.Handler) http.Handler {
		return front(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if id := r.Header.Get("Mcp-Session-Id"); id != "" {
				last.Store(&id)
			}
			inner.ServeHTTP(w, r)
		}))
	}
	h := &heard{}
	session := connected(t, run(t, serve(t, streamable(everything(t), nil), record), nil), "2025-11-25", h.options())
	if err := session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "test://one"}); err != nil {
		t.Fatal(err)
	}
	call(t, session, "count")
	first := *last.Load()
	over.Store(first, true)
	call(t, session, "count")
	if n := sessions.Load(); n != 2 || *last.Load() == first {
		t.Errorf("%d sessions were opened, want 2", n)
	}
	eventually(t, "an update in the new session", func() bool {
		call(t, session, "touch")
		return h.count(&h.updated) > 0
	})
}

// TestAnIDMayComeBackInAnotherForm: the client gets it as it wrote it.
func TestAnIDMayComeBackInAnotherForm(t *testing.T) {
	forms := map[string]string{`1`: `1.0`, `2`: `"2"`, `"3"`: `3`, `"ä/b"`: `"\u00e4\/b"`, `"plain"`: `"plain"`}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m, err := rpc.Parse(body)
		if err != nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"of":%q}}`, forms[string(m.ID())], m.Method)
	}))
	defer server.Close()
	r := run(t, server.URL, nil)
	lines := bufio.NewReader(r.out)
	for id := range forms {
		_, _ = fmt.Fprintf(r.in, `{"jsonrpc":"2.0","id":%s,"method":"ping"}`+"\n", id)
		if line, err := lines.ReadString('\n'); err != nil || line != `{"jsonrpc":"2.0","id":`+id+`,"result":{"of":"ping"}}`+"\n" {
			t.Errorf("the call %s is answered %s, %v", id, line, err)
		}
	}
}

// TestABrokenStreamIsTakenUp: the line breaks in the middle of a call, and the
// answer comes after Last-Event-ID.
func TestABrokenStreamIsTakenUp(t *testing.T) {
	var broken, resumed atomic.Int32
	front := func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Last-Event-Id") != "" {
				resumed.Add(1)
			}
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if bytes.Contains(body, []byte(`"count"`)) {
				w = &breaking{ResponseWriter: w, left: 2, broken: &broken}
			}
			inner.ServeHTTP(w, r)
		})
	}
	h := &heard{}
	server := streamable(everything(t), &mcp.StreamableHTTPOptions{EventStore: mcp.NewMemoryEventStore(nil)})
	session := connected(t, run(t, serve(t, server, front), nil), "2025-11-25", h.options())
	if said := call(t, session, "count"); said != "counted" {
		t.Errorf("count = %q", said)
	}
	eventually(t, "all of the progress", func() bool { return h.count(&h.progress) == 5 })
	if broken.Load() == 0 || resumed.Load() == 0 {
		t.Errorf("the stream broke %d times and was taken up %d times", broken.Load(), resumed.Load())
	}
}

// breaking breaks its connection after some writes of events.
type breaking struct {
	http.ResponseWriter
	left   int
	broken *atomic.Int32
}

func (b *breaking) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("data:")) {
		if b.left--; b.left == -1 {
			b.broken.Add(1)
			if conn, _, err := http.NewResponseController(b.ResponseWriter).Hijack(); err == nil {
				_ = conn.Close()
			}
		}
		if b.left < 0 {
			return 0, io.ErrClosedPipe
		}
	}
	return b.ResponseWriter.Write(p)
}

func (b *breaking) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b *breaking) Flush() {
	if b.left >= 0 {
		_ = http.NewResponseController(b.ResponseWriter).Flush()
	}
}

// script answers each message in turn; the rest of a session it plays itself.
type script struct {
	mu     sync.Mutex
	posts  []string
	answer func(n int, w http.ResponseWriter, r *http.Request, m *rpc.Message)
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, _ := io.ReadAll(r.Body)
	m, err := rpc.Parse(body)
	if err != nil || m.Kind != rpc.Request {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	s.mu.Lock()
	s.posts = append(s.posts, m.Method)
	n := 0
	for _, one := range s.posts {
		if one == m.Method {
			n++
		}
	}
	s.mu.Unlock()
	if m.Method == "initialize" {
		reply(w, &m, `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}`)
		return
	}
	s.answer(n, w, r, &m)
}

func (s *script) count(method string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.posts {
		if one == method {
			n++
		}
	}
	return n
}

func reply(w http.ResponseWriter, m *rpc.Message, result string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(rpc.ResultBody(m.ID(), []byte(result)))
}

// lines speaks to the rig as text.
type lines struct {
	t   *testing.T
	r   *rig
	out *bufio.Reader
}

func talk(t *testing.T, url string) *lines {
	r := run(t, url, nil)
	return &lines{t, r, bufio.NewReader(r.out)}
}

func (l *lines) say(line string) {
	l.t.Helper()
	if _, err := io.WriteString(l.r.in, line+"\n"); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lines) hear(parts ...string) {
	l.t.Helper()
	line, err := l.out.ReadString('\n')
	if err != nil {
		l.t.Fatal(err)
	}
	for _, part := range parts {
		if !strings.Contains(line, part) {
			l.t.Fatalf("%.300s lacks %s", line, part)
		}
	}
}

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

const callA = `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"a"}}`

// busyOnce answers the first message with 503 and the body.
func busyOnce(retryAfter, body string) func(n int, w http.ResponseWriter, r *http.Request, m *rpc.Message) {
	return func(n int, w http.ResponseWriter, _ *http.Request, m *rpc.Message) {
		if n > 1 {
			reply(w, m, `{"content":[]}`)
			return
		}
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, body)
	}
}

// TestWhatDoesNothingIsSentAgain: a list may be asked for twice, whoever says 503.
func TestWhatDoesNothingIsSentAgain(t *testing.T) {
	s := &script{answer: busyOnce("0", "")}
	l := talk(t, serve(t, s, nil))
	l.say(hello)
	l.hear(`"protocolVersion"`)
	l.say(`{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`)
	l.hear(`"result"`)
	if n := s.count("prompts/list"); n != 2 {
		t.Errorf("it was sent %d times, want 2", n)
	}
}

func TestWhatAServerCanDoToACall(t *testing.T) {
	type answer = func(n int, w http.ResponseWriter, r *http.Request, m *rpc.Message)
	cut := func(int, http.ResponseWriter, *http.Request, *rpc.Message) { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		answer answer
		want   []string
		posts  int
	}{
		"the bridge asks to wait": {
			busyOnce("0", `{"jsonrpc":"2.0","id":"a","error":{"code":-32000,"message":"busy"}}`),
			[]string{`"result":{"content":[]}`}, 2,
		},
		"its nginx asks to wait": {
			busyOnce("0", `{"error":"Service Unavailable","message":"later","safe_to_retry":true}`),
			[]string{`"result":{"content":[]}`}, 2,
		},
		"a proxy lost its server under the call": {
			busyOnce("0", `{"error":"Service Unavailable","message":"later"}`),
			[]string{`"id":"a"`, `"httpStatus":503`}, 1,
		},
		"a proxy says nothing but 503": {busyOnce("0", ""), []string{`"id":"a"`, `"httpStatus":503`}, 1},
		"another server has lost its own": {
			busyOnce("", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Connection closed"}}`),
			[]string{`"id":"a"`, "Connection closed"}, 1,
		},
		"a server has failed": {
			busyOnce("0", `{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"it ended"}}`),
			[]string{`"id":"a"`, "it ended"}, 1,
		},
		"it asks to wait for too long": {func(_ int, w http.ResponseWriter, _ *http.Request, m *rpc.Message) {
			w.Header().Set("Retry-After", "86400")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write((&rpc.Error{Code: -32000, Message: "come tomorrow"}).Body(m.ID()))
		}, []string{`"id":"a"`, "come tomorrow"}, 1},
		"it may have run the call": {cut, []string{`"id":"a"`, `"error"`, "EOF"}, 1},
		"its stream has no answer": {func(_ int, w http.ResponseWriter, _ *http.Request, _ *rpc.Message) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n")
		}, []string{`notifications/message`}, 1},
		"it answers in another's name": {func(_ int, w http.ResponseWriter, _ *http.Request, _ *rpc.Message) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":"b","result":{}}`)
		}, []string{`"id":"a"`, "not the answer to the call"}, 1},
		"it answers with a page": {func(_ int, w http.ResponseWriter, _ *http.Request, _ *rpc.Message) {
			_, _ = io.WriteString(w, "<html>")
		}, []string{`"id":"a"`, "media type"}, 1},
		"it answers over several lines": {func(_ int, w http.ResponseWriter, _ *http.Request, _ *rpc.Message) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{\"jsonrpc\":\"2.0\",\n \"id\":\"a\",\r\n\"result\":{}}\n")
		}, []string{`"id":"a"`, `"result":{}`}, 1},
		"it answers with an error of its own": {func(_ int, w http.ResponseWriter, _ *http.Request, _ *rpc.Message) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}`)
		}, []string{`"id":"a"`, `"code":-32600`}, 1},
		"it fails": {func(_ int, w http.ResponseWriter, _ *http.Request, _ *rpc.Message) {
			w.WriteHeader(http.StatusInternalServerError)
		}, []string{`"id":"a"`, `"httpStatus":500`}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{answer: c.answer}
			l := talk(t, serve(t, s, nil))
			l.say(hello)
			l.hear(`"protocolVersion"`)
			l.say(callA)
			l.hear(c.want...)
			if n := s.count("tools/call"); n != c.posts {
				t.Errorf("the call was sent %d times, want %d", n, c.posts)
			}
		})
	}
}

// TestNothingLeavesForAnotherOrigin: neither a redirect nor the endpoint of a
// stream takes a header elsewhere.
func TestNothingLeavesForAnotherOrigin(t *testing.T) {
	var stolen atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(other.Close)
	for name, h := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		},
		"an endpoint": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprintf(w, "event: endpoint\ndata: %s/message\n\n", other.URL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := talk(t, serve(t, h, nil))
			l.say(hello)
			l.hear(`"error"`)
		})
	}
	if stolen.Load() > 0 {
		t.Error("another origin was asked")
	}
}

// TestACancelledCallEnds: in 2026-07-28 the end of the stream is what the
// server hears, before it is a notification.
func TestACancelledCallEnds(t *testing.T) {
	for name, call := range map[string]string{
		"2025-11-25": `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"a"}}`,
		"2026-07-28": `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			begun, ended := make(chan struct{}), make(chan struct{})
			var told atomic.Int32
			s := &script{answer: func(n int, w http.ResponseWriter, r *http.Request, m *rpc.Message) {
				if m.Method == "ping" {
					reply(w, m, "{}")
					return
				}
				close(begun)
				<-r.Context().Done()
				close(ended)
			}}
			front := func(inner http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if bytes.Contains(body, []byte("notifications/cancelled")) {
						told.Add(1)
					}
					r.Body = io.NopCloser(bytes.NewReader(body))
					inner.ServeHTTP(w, r)
				})
			}
			l := talk(t, serve(t, s, front))
			l.say(hello)
			l.hear(`"protocolVersion"`)
			l.say(call)
			<-begun
			l.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}`)
			<-ended
			l.say(`{"jsonrpc":"2.0","id":"b","method":"ping"}`)
			l.hear(`"id":"b"`)
			if want := name == "2025-11-25"; (told.Load() > 0) != want {
				t.Errorf("the server heard %d notifications", told.Load())
			}
		})
	}
}

// TestCallsInFlightAreAnsweredAfterTheEnd: a script that pipes its requests in
// gets its answers.
func TestCallsInFlightAreAnsweredAfterTheEnd(t *testing.T) {
	release := make(chan struct{})
	s := &script{answer: func(_ int, w http.ResponseWriter, _ *http.Request, m *rpc.Message) {
		<-release
		reply(w, m, `{"content":[]}`)
	}}
	l := talk(t, serve(t, s, nil))
	l.say(hello)
	l.hear(`"protocolVersion"`)
	l.say(callA)
	eventually(t, "the call", func() bool { return s.count("tools/call") == 1 })
	_ = l.r.in.Close()
	close(release)
	l.hear(`"id":"a"`, `"result"`)
	if err := <-l.r.done; err != nil {
		t.Error(err)
	}
	l.r.done <- nil
}

func TestALineOfTheClientThatIsNoMessage(t *testing.T) {
	l := talk(t, serve(t, &script{}, nil))
	l.say(`{"jsonrpc":`)
	l.hear(`"code":-32700`)
	l.say(`[]`)
	l.say(`{"jsonrpc":"2.0","id":1}`)
	l.hear(`"code":-32600`)
}

// TestARequestWaitsForAServerThatStarts: a connection that cannot be made is no
// answer yet.
func TestARequestWaitsForAServerThatStarts(t *testing.T) {
	addr := freeport.Addr(t)
	k := knocking{make(chan struct{}, 2)}
	r := run(t, "http://"+addr, k)
	l := &lines{t, r, bufio.NewReader(r.out)}
	said := make(chan error, 1)
	go func() {
		_, err := io.WriteString(r.in, hello+"\n")
		said <- err
	}()
	<-k.tries
	<-k.tries // a second try: the first has failed
	again := httptest.NewUnstartedServer(&script{})
	_ = again.Listener.Close()
	var err error
	if again.Listener, err = listenAt(addr); err != nil {
		t.Fatal(err)
	}
	again.Start()
	t.Cleanup(again.Close)
	l.hear(`"protocolVersion"`)
	if err := <-said; err != nil {
		t.Error(err)
	}
}

// knocking tells of each try.
type knocking struct{ tries chan struct{} }

func (k knocking) Token(context.Context) (string, error) {
	select {
	case k.tries <- struct{}{}:
	default:
	}
	return "", nil
}

func (knocking) Refused(context.Context, string, int, http.Header) error {
	return errors.New("nobody signs in")
}

// asking counts who would open a page on the user.
type asking struct{ refused atomic.Int32 }

func (a *asking) Token(context.Context) (string, error) { return "", nil }

func (a *asking) Refused(context.Context, string, int, http.Header) error {
	a.refused.Add(1)
	return errors.New("nobody signs in")
}

// TestAStreamSignsNobodyIn: what nobody waits for opens no page, and the stream
// is opened after a call that was let in.
func TestAStreamSignsNobodyIn(t *testing.T) {
	var gets atomic.Int32
	s := &script{answer: func(_ int, w http.ResponseWriter, _ *http.Request, m *rpc.Message) { reply(w, m, "{}") }}
	front := func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				gets.Add(1)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			inner.ServeHTTP(w, r)
		})
	}
	creds := &asking{}
	r := run(t, serve(t, s, front), creds)
	l := &lines{t, r, bufio.NewReader(r.out)}
	l.say(hello)
	l.hear(`"protocolVersion"`)
	l.say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	eventually(t, "the stream is refused", func() bool { return gets.Load() == 1 })
	l.say(callA)
	l.hear(`"id":"a"`, `"result"`)
	eventually(t, "the stream is asked for again", func() bool { return gets.Load() == 2 })
	if n := creds.refused.Load(); n > 0 {
		t.Errorf("%d sign-ins for a stream", n)
	}
}

// TestASessionThatIsOverSignsNobodyIn: what the stream finds out waits for the
// next call.
func TestASessionThatIsOverSignsNobodyIn(t *testing.T) {
	var opened, again atomic.Int32
	s := &script{answer: func(_ int, w http.ResponseWriter, _ *http.Request, m *rpc.Message) { reply(w, m, "{}") }}
	front := func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodGet || r.Method == http.MethodDelete:
				w.WriteHeader(http.StatusNotFound)
			case r.Header.Get("Mcp-Session-Id") == "" && opened.Add(1) > 1:
				again.Add(1)
				w.WriteHeader(http.StatusUnauthorized)
			default:
				w.Header().Set("Mcp-Session-Id", "one")
				inner.ServeHTTP(w, r)
			}
		})
	}
	creds := &asking{}
	r := run(t, serve(t, s, front), creds)
	l := &lines{t, r, bufio.NewReader(r.out)}
	l.say(hello)
	l.hear(`"protocolVersion"`)
	l.say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	eventually(t, "a new session is tried", func() bool { return again.Load() == 1 })
	if n := creds.refused.Load(); n > 0 {
		t.Errorf("%d sign-ins for a stream", n)
	}
	l.say(callA)
	l.hear(`"id":"a"`, "nobody signs in")
	if n := creds.refused.Load(); n != 1 {
		t.Errorf("%d sign-ins for the call, want 1", n)
	}
}
