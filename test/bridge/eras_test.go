package bridge_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// front is one way to a child. say sends a request, given its raw id, method
// and params without braces, and returns the raw answer.
type front struct {
	name string
	say  func(id, method, params string) string
}

func raw(id, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{%s}}`, id, method, params)
}

// body posts and returns the whole body, or the last event of a stream.
func body(t *testing.T, req *http.Request) string {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		events := readEvents(t, res.Body)
		if len(events) == 0 {
			return ""
		}
		return events[len(events)-1].data
	}
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},` +
	`"io.modelcontextprotocol/clientCapabilities":{}}`

// fronts opens a client of each era on the bridge.
func fronts(t *testing.T, b *bridge) []front {
	t.Helper()
	session := open(t, b)
	sse := openSSE(t, b.base, "/sse", nil)
	answerTo := func() string {
		for {
			e, err := nextEvent(sse.Reader)
			if err != nil {
				t.Error(err)
				return ""
			}
			if !strings.Contains(e.data, `"method"`) {
				return e.data
			}
		}
	}
	sse.send(b.base, initialize)
	answerTo()
	modern := newClient(t, b.base+"/mcp", nil)
	return []front{
		{"streamable", func(id, method, params string) string {
			return body(t, session.request(t.Context(), http.MethodPost, raw(id, method, params)))
		}},
		{"sse", func(id, method, params string) string {
			sse.send(b.base, raw(id, method, params))
			return answerTo()
		}},
		{"stateless", func(id, method, params string) string {
			if params != "" {
				params += ","
			}
			req := modern.request(t.Context(), http.MethodPost, raw(id, method, params+modernMeta))
			req.Header.Set("Mcp-Protocol-Version", "2026-07-28")
			req.Header.Set("Mcp-Method", method)
			if _, rest, ok := strings.Cut(params, `"name":"`); ok {
				name, _, _ := strings.Cut(rest, `"`)
				req.Header.Set("Mcp-Name", name)
			}
			return body(t, req)
		}},
	}
}

// TestEveryFront is the suite that all eras must pass on every isolation.
func TestEveryFront(t *testing.T) {
	for _, isolation := range []string{"session", "user", "shared"} {
		b := start(t, "--isolation", isolation)
		for _, f := range fronts(t, b) {
			t.Run(isolation+"/"+f.name, func(t *testing.T) {
				suite(t, f, isolation == "shared")
			})
		}
		b.stop(t)
	}
}

// suite is what a client of any era may expect. The child of a shared server is
// of many users.
func suite(t *testing.T, f front, shared bool) {
	t.Helper()
	t.Run("ids come back byte for byte", func(t *testing.T) { idsComeBack(t, f) })
	t.Run("an unknown method is the child's to refuse", func(t *testing.T) {
		if got := f.say(`"u"`, "vendor/unknown", ""); !strings.Contains(got, "-32601") ||
			!strings.Contains(got, `"id":"u"`) {
			t.Errorf("answer %s", got)
		}
	})
	t.Run("ping", func(t *testing.T) {
		want := `"result":{}`
		if f.name == "stateless" { // 2026-07-28 has none: 404 with -32601
			want = "-32601"
		}
		if got := f.say("1", "ping", ""); !strings.Contains(got, want) || !strings.Contains(got, `"id":1`) {
			t.Errorf("answer %s, want %s", got, want)
		}
	})
	t.Run("1 MB there and back", func(t *testing.T) {
		long := strings.Repeat("m", 1<<20)
		if got := f.say("2", "tools/call", `"name":"echo","arguments":{"text":"`+long+`"}`); !strings.Contains(got, long) {
			t.Errorf("%d bytes came back", len(got))
		}
	})
	t.Run("a child that dies answers", func(t *testing.T) {
		got := f.say("3", "tools/call", `"name":"die","arguments":{"text":"a secret of many users"}`)
		if !strings.Contains(got, "-32603") || !strings.Contains(got, "exit status 3") {
			t.Errorf("answer %s", got)
		}
		if shared && strings.Contains(got, "secret") {
			t.Errorf("the standard error of a child of many users: %s", got)
		}
		if again := f.say("4", "tools/call", `"name":"echo","arguments":{"text":"alive"}`); !strings.Contains(
			again,
			`"alive"`,
		) {
			t.Errorf("the next child answers %s", again)
		}
	})
}

func idsComeBack(t *testing.T, f front) {
	for _, id := range []string{`1`, `"text"`, `"\u00e9\u0041/\/"`, `12345678901234567890`, `-7`, `1.50`, `"gh-1"`} {
		got := f.say(id, "tools/call", `"name":"echo","arguments":{"text":"x"}`)
		var a struct {
			ID     json.RawMessage
			Result json.RawMessage
		}
		if err := json.Unmarshal([]byte(got), &a); err != nil || string(a.ID) != id || a.Result == nil {
			t.Errorf("the call %s was answered %s", id, got)
		}
	}
}

func TestJavaClientIsNotGivenAVersionThatMCPHasNot(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_CHILD_VERSION", "2024-11-05")
	b := start(t)
	c := newClient(t, b.base+"/mcp", nil)
	if a := c.post(initialize); a.Result.ProtocolVersion != "2025-03-26" {
		t.Errorf("/mcp answers %q; the Java client refuses 2024-11-05 there", a.Result.ProtocolVersion)
	}
	s := openSSE(t, b.base, "/sse", nil)
	s.send(b.base, initialize)
	if e, err := nextEvent(s.Reader); err != nil || !strings.Contains(e.data, "2024-11-05") {
		t.Errorf("/sse answers %s, %v", e.data, err)
	}
}

func TestDiscoverIsAnsweredAtOnceInEveryEra(t *testing.T) {
	b := start(t)
	begin := time.Now()
	c := newClient(t, b.base+"/mcp", nil)
	got := body(
		t,
		c.request(t.Context(), http.MethodPost, `{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{}}`),
	)
	if !strings.HasPrefix(got, `{"jsonrpc":"2.0"`) || !strings.Contains(got, `"id":"d"`) {
		t.Errorf("/mcp answers %s", got)
	}
	s := openSSE(t, b.base, "/sse", nil)
	s.send(b.base, raw(`"d"`, "server/discover", modernMeta)) // the Go client speaks it over SSE too
	e, err := nextEvent(s.Reader)
	if err != nil || !strings.Contains(e.data, `"id":"d"`) || !strings.Contains(e.data, "-32601") {
		t.Errorf("/sse answers %s, %v; want what the child says", e.data, err)
	}
	if took := time.Since(begin); took > 15*time.Second { // a busy machine; --start-time is 30 s
		t.Errorf("it took %s", took)
	}
}

// TestHeadersOfAStreamComeAtOnce: the Go client waits for them before it goes on.
func TestHeadersOfAStreamComeAtOnce(t *testing.T) {
	c := open(t, start(t))
	begin := time.Now()
	s := listen(t, c.request(t.Context(), http.MethodGet, ""))
	if took := time.Since(begin); took > 10*time.Second { // before the first keepalive
		t.Errorf("the headers took %s", took)
	}
	if kind, buffering := s.res.Header.Get("Content-Type"),
		s.res.Header.Get("X-Accel-Buffering"); kind != "text/event-stream" || buffering != "no" {
		t.Errorf("Content-Type %q, X-Accel-Buffering %q", kind, buffering)
	}
}

// TestANewListenerTakesTheOldOnesPlace: a client whose connection broke without
// a word is not locked out.
func TestANewListenerTakesTheOldOnesPlace(t *testing.T) {
	c := open(t, start(t))
	first := listen(t, c.request(t.Context(), http.MethodGet, ""))
	second := listen(t, c.request(t.Context(), http.MethodGet, ""))
	if events := readEvents(t, first); len(events) != 0 {
		t.Errorf("the first stream said %+v", events)
	}
	go c.call("flood", "", 1)
	for { // what belongs to no call comes to the new one
		e, err := nextEvent(second.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.data, "notifications/message") {
			return
		}
	}
}

// TestProgressIsNotMergedWithTheAnswer: the TypeScript client drops a progress
// that it reads together with the answer, so each event is a write of its own,
// also where the child says both at once. A write is a chunk (RFC 9112, section
// 7.1); what a reader of the body gets in one read is the network's whim.
func TestProgressIsNotMergedWithTheAnswer(t *testing.T) {
	c := open(t, start(t))
	progress, answer := -1, -1
	for i, chunk := range chunks(t, c.request(t.Context(), http.MethodPost, callBody(9, "hasty", "", 0))) {
		if strings.Contains(chunk, "notifications/progress") {
			progress = i
		}
		if strings.Contains(chunk, `"done"`) {
			answer = i
		}
	}
	if progress < 0 || answer < 0 || progress == answer {
		t.Errorf("the progress is in chunk %d and the answer in chunk %d", progress, answer)
	}
}

// chunks sends a request and returns the chunks of its answer, as they were sent.
func chunks(t *testing.T, req *http.Request) (all []string) {
	t.Helper()
	conn, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := errors.Join(conn.SetDeadline(time.Now().Add(time.Minute)), req.Write(conn)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if head := until(t, in, "\r\n\r\n"); !strings.Contains(head, "Transfer-Encoding: chunked") {
		t.Fatalf("the answer comes in no chunks: %s", head)
	}
	for {
		size, err := strconv.ParseInt(strings.TrimSpace(until(t, in, "\r\n")), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		if size == 0 {
			return all
		}
		chunk := make([]byte, size+2) // and CRLF
		if _, err := io.ReadFull(in, chunk); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(chunk))
	}
}

// until reads up to the end, and that too.
func until(t *testing.T, in *bufio.Reader, end string) (text string) {
	t.Helper()
	for !strings.HasSuffix(text, end) {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		text += line
	}
	return text
}

// TestAChildsQuestionReachesItsClientAndTheAnswerTheChild in both older eras.
func TestAChildsQuestionReachesItsClientAndTheAnswerTheChild(t *testing.T) {
	b := start(t)
	s := openSSE(t, b.base, "/sse", nil)
	s.send(b.base, initialize)
	s.send(b.base, callBody(5, "ask", "q1", 0))
	for {
		e, err := nextEvent(s.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.data, "elicitation/create") {
			s.send(b.base, `{"jsonrpc":"2.0","id":"q1","result":{"action":"accept","content":{}}}`)
		}
		if strings.Contains(e.data, `"id":5`) {
			if !strings.Contains(e.data, "accept") {
				t.Errorf("the call ended with %s", e.data)
			}
			return
		}
	}
}
