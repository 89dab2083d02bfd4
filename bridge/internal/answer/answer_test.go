package answer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestErrorSaysHowToGoOn(t *testing.T) {
	for name, tc := range map[string]struct {
		err           error
		status        int
		header, value string
	}{
		"too much":       {&mux.Refusal{Full: true, Retry: 1500 * time.Millisecond}, 429, "Retry-After", "2"},
		"not now":        {&mux.Refusal{Retry: time.Millisecond}, 503, "Retry-After", "1"},
		"a scope":        {&mux.ScopeError{RPC: &rpc.Error{Code: -32003}, Challenge: "Bearer x"}, 403, "Www-Authenticate", "Bearer x"},
		"something else": {errors.New("it is so"), 400, "Retry-After", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			Error(w, http.StatusBadRequest, []byte(`"id"`), tc.err)
			if w.Code != tc.status || w.Header().Get(tc.header) != tc.value ||
				!strings.HasPrefix(w.Body.String(), `{"jsonrpc":"2.0","id":"id","error":`) {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
		})
	}
}

func TestBodyIsBoundedWithAndWithoutALength(t *testing.T) {
	for name, tc := range map[string]struct {
		body   io.Reader
		length int64
		status int
	}{
		"fits":                   {strings.NewReader("12345678"), 8, 200},
		"fits, no length":        {strings.NewReader("12345678"), -1, 200},
		"too long":               {strings.NewReader("123456789"), 9, 413},
		"too long, no length":    {strings.NewReader("123456789"), -1, 413},
		"ends before its length": {strings.NewReader("1234"), 8, 400},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", tc.body)
			r.ContentLength = tc.length
			body, _, ok := Body{Max: 8}.Read(w, r)
			if ok != (tc.status == 200) || w.Code != tc.status || ok && len(body) != 8 {
				t.Errorf("%v, status %d, %q", ok, w.Code, body)
			}
		})
	}
}

func TestOrigins(t *testing.T) {
	local := Origins{LocalOnly: true, Hosts: []string{"box.lan"}}
	public := Origins{Allowed: []string{"https://app.example.com"}}
	for name, tc := range map[string]struct {
		o       Origins
		host    string
		origins []string
		ok      bool
	}{
		"no origin":               {local, "127.0.0.1:3000", nil, true},
		"a local page":            {local, "localhost:3000", []string{"http://localhost:6274"}, true},
		"IPv6":                    {local, "[::1]:3000", nil, true},
		"a further name":          {local, "box.lan:3000", nil, true},
		"a rebound name":          {local, "evil.example:3000", nil, false},
		"a name like a local one": {local, "localhost.evil.example", nil, false},
		"a foreign page":          {local, "localhost", []string{"https://evil.example"}, false},
		"null":                    {local, "localhost", []string{"null"}, false},
		"two":                     {public, "mcp.example.com", []string{"https://app.example.com", "https://evil.example"}, false},
		"the allowed page":        {public, "mcp.example.com", []string{"https://app.example.com"}, true},
		"localhost on the public": {public, "mcp.example.com", []string{"http://localhost"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Host, r.Header["Origin"] = tc.host, tc.origins
			tc.o.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
			if (w.Code == 200) != tc.ok || !tc.ok && w.Code != http.StatusForbidden {
				t.Errorf("status %d", w.Code)
			}
		})
	}
}

// memory is an outlet that keeps what is written.
type memory struct{ bytes.Buffer }

func (*memory) Flush() error                     { return nil }
func (*memory) SetWriteDeadline(time.Time) error { return nil }

// FuzzEvent: whatever a line of a child holds, a reader of the stream as HTML
// (section 9.2.6) describes it gets one event with exactly that line.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`), "3-1")
	f.Add([]byte("{\r\n\"a\": \"\\n\\ndata: x\"}"), "")
	f.Add([]byte(": comment\nevent: endpoint\ndata: x\n\n"), "0-9")
	f.Add([]byte("\xef\xbb\xbf{}\u2028"), "1-1")
	f.Fuzz(func(t *testing.T, line []byte, id string) {
		if strings.ContainsAny(id, "\r\n\x00") {
			return // ids are the bridge's own
		}
		rpc.OneLine(line) // as the wire reader leaves it
		out := &memory{}
		s := &Stream{out: out, begun: true}
		if err := s.Event(id, event.Message(rpc.Notification, line)); err != nil {
			t.Fatal(err)
		}
		text, whole := strings.CutSuffix(out.String(), "\n\n")
		var data []string
		var name, last string
		for field := range strings.SplitSeq(text, "\n") {
			key, value, _ := strings.Cut(field, ":")
			value = strings.TrimPrefix(value, " ")
			switch key {
			case "data":
				data = append(data, value)
			case "event":
				name = value
			case "id":
				last = value
			default:
				t.Fatalf("a field %q of the line's own making", key)
			}
		}
		if !whole || name != "message" || last != id || len(data) != 1 || data[0] != string(line) ||
			strings.Contains(out.String(), "\r") {
			t.Errorf("event %q, id %q, data %q; want the one line %q", name, last, data, line)
		}
	})
}

func TestAPageIsToldWhatItMayDo(t *testing.T) {
	alone := Origins{Allowed: []string{"https://app.example.com"}, CORS: true}
	ask := func(o Origins, method, origin string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, "/mcp", nil)
		r.Header.Set("Origin", origin)
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", http.MethodPost)
			r.Header.Set("Access-Control-Request-Headers", "mcp-param-x, content-type")
		}
		o.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })).
			ServeHTTP(w, r)
		return w
	}
	w := ask(alone, http.MethodOptions, "https://app.example.com")
	if h := w.Header(); w.Code != http.StatusNoContent ||
		h.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		h.Get("Vary") != "Origin" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "DELETE") ||
		h.Get("Access-Control-Allow-Headers") != "mcp-param-x, content-type" {
		t.Errorf("the preflight: %d %v", w.Code, h)
	}
	w = ask(alone, http.MethodPost, "https://app.example.com")
	if h := w.Header(); w.Code != http.StatusTeapot || h.Get("Access-Control-Allow-Origin") == "" ||
		!strings.Contains(h.Get("Access-Control-Expose-Headers"), "Mcp-Session-Id") {
		t.Errorf("the call: %d %v", w.Code, h)
	}
	if w := ask(alone, http.MethodOptions, "https://evil.example.com"); w.Code != http.StatusForbidden ||
		w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another page: %d %v", w.Code, w.Header())
	}
	alone.CORS = false // a proxy does it
	if w := ask(alone, http.MethodPost, "https://app.example.com"); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("behind a proxy: %v", w.Header())
	}
}

// TestABodyHasATime: one that stops to come is refused, also where nobody reads
// it; one that comes slowly, but as fast as it must, is taken.
func TestABodyHasATime(t *testing.T) {
	b := Body{Max: 1 << 20, Time: time.Second, Rate: 100}
	srv := httptest.NewServer(b.Timed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/unread" {
			Refuse(w, http.StatusNotFound, rpc.CodeInvalidRequest, "nothing is here")
			return
		}
		if body, _, ok := b.Read(w, r); ok {
			JSON(w, http.StatusOK, body)
		}
	})))
	t.Cleanup(srv.Close)
	for name, tc := range map[string]struct {
		path   string
		pieces int // of 40 bytes, five a second
		want   string
	}{
		"nothing comes":       {"/", 0, "408"},
		"a piece, no more":    {"/", 1, "408"},
		"slow and honest":     {"/", 10, "200"},
		"nobody waits for it": {"/unread", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 400\r\n\r\n", tc.path)
			go func() {
				tick := time.NewTicker(200 * time.Millisecond)
				defer tick.Stop()
				for range tc.pieces {
					<-tick.C
					if _, err := conn.Write(bytes.Repeat([]byte("x"), 40)); err != nil {
						return
					}
				}
			}()
			got := make([]byte, 1<<10)
			n, err := conn.Read(got)
			if errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(string(got[:n]), "HTTP/1.1 "+tc.want) {
				t.Errorf("%q, %v", got[:n], err)
			}
		})
	}
}
