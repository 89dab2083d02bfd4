package shortcut_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gatehouse/authsvc/internal/shortcut"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	hot  = "GET /auth HTTP/1.1\r\nHost: x\r\nCookie: hot\r\n\r\n"
	cold = "GET /auth HTTP/1.1\r\nHost: x\r\nCookie: cold\r\n\r\n"
	post = "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
)

// answer knows the one cookie.
func answer(dst []byte, authorization, cookie string) ([]byte, bool) {
	if authorization != "" || cookie != "hot" {
		return nil, false
	}
	return append(dst, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-By: shortcut\r\n\r\n"...), true
}

// wire is one connection to a server whose handler reads the body and names
// what it was asked.
type wire struct {
	t      *testing.T
	conn   net.Conn
	answer *bufio.Reader
	server *http.Server
	idle   chan struct{} // net/http is done with a request
}

func dial(t *testing.T) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	idle := make(chan struct{}, 10)
	server := &http.Server{
		ConnState: func(c net.Conn, state http.ConnState) {
			if shortcut.ConnState(c, state); state == http.StateIdle {
				select {
				case idle <- struct{}{}:
				default: // nobody waits
				}
			}
		},
		IdleTimeout: time.Minute, WriteTimeout: time.Minute, ReadTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("X-By", "net/http "+r.Method+r.Header.Get("Cookie")+string(body))
		}),
	}
	done := make(chan error, 1)
	go func() {
		done <- server.Serve(&shortcut.Listener{Listener: l, Path: "/auth", Idle: time.Minute, Answer: answer})
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return &wire{t, conn, bufio.NewReader(conn), server, idle}
}

func (w *wire) send(parts ...string) {
	w.t.Helper()
	for _, part := range parts {
		if _, err := io.WriteString(w.conn, part); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *wire) want(by string) {
	w.t.Helper()
	if got := w.next(); got != by {
		w.t.Fatalf("answered by %q, want %q", got, by)
	}
	if w.idle != nil && by != "shortcut" {
		<-w.idle
	}
}

func (w *wire) by(request string) string {
	w.t.Helper()
	w.send(request)
	return w.next()
}

// next reads an answer and tells who made it.
func (w *wire) next() string {
	w.t.Helper()
	_ = w.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	res, err := http.ReadResponse(w.answer, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		w.t.Fatal(err)
	}
	return res.Header.Get("X-By")
}

// asks sends one request and wants its answer.
func (w *wire) asks(request, by string) {
	w.t.Helper()
	w.send(request)
	w.want(by)
}

func TestOneConnectionServesBoth(t *testing.T) {
	w := dial(t)
	w.asks(hot, "net/http GEThot") // the first is always net/http's
	for range 3 {
		w.asks(hot, "shortcut")
		w.asks(hot, "shortcut")
		w.asks(cold, "net/http GETcold")
	}
}

// What net/http may have read ahead is never mistaken for the beginning of a
// head: after any of these the connection is right, if no longer fast.
func TestOddRequestsStayInOrder(t *testing.T) {
	for name, play := range map[string]func(w *wire){
		"a body": func(w *wire) {
			w.asks(post, "net/http POSTbody")
		},
		"a body in a packet of its own": func(w *wire) {
			w.send(strings.TrimSuffix(post, "body"))
			w.send("bo", "dy")
			w.want("net/http POSTbody")
		},
		"a body that looks like a head": func(w *wire) {
			w.send(fmt.Sprintf("POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(hot)))
			w.asks(hot, "net/http POST"+strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(hot)))
		},
		"two at once": func(w *wire) {
			w.asks(hot+cold, "net/http GEThot")
			w.want("net/http GETcold")
		},
		"one and a half": func(w *wire) {
			w.send(hot + cold[:9])
			w.want("net/http GEThot")
			w.asks(cold[9:], "net/http GETcold")
		},
		"a head that ends with bare line feeds, and the next": func(w *wire) {
			w.send("GET /x HTTP/1.1\nHost: x\n\n" + fmt.Sprintf("POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(hot)))
			w.want("net/http GET")
			w.asks(hot, "net/http POST"+strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(hot)))
		},
		"a head that ends like one": func(w *wire) {
			w.send("GET /long HTTP/1.1\r\nHost: x\r\nA: ")
			w.asks(hot[len("GET /auth HTTP/1.1\r\nHost: x\r\n"):], "net/http GET")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := dial(t)
			w.asks(hot, "net/http GEThot")
			w.asks(hot, "shortcut")
			play(w)
			for range 2 {
				w.send(cold)
				w.want("net/http GETcold")
			}
		})
	}
}

// A request that comes before net/http is back from the one before it: the
// order holds, and the connection is fast again after it.
func TestEarlyRequests(t *testing.T) {
	w := dial(t)
	w.asks(hot, "net/http GEThot")
	w.idle = nil
	for range 200 {
		w.send(cold)
		w.want("net/http GETcold")
	}
	deadline := time.Now().Add(5 * time.Second)
	for fast := false; !fast; fast = w.by(hot) == "shortcut" {
		if time.Now().After(deadline) {
			t.Fatal("the connection stays slow")
		}
	}
}

func TestShutdownEndsAFastConnection(t *testing.T) {
	w := dial(t)
	w.asks(hot, "net/http GEThot")
	w.asks(hot, "shortcut")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if _, err := w.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection after the shutdown: %v, want EOF", err)
	}
}

// pipes is a listener of one in-memory connection.
type pipes struct {
	conn chan net.Conn
	done chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conn:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// A connection that is used lives on past the deadlines that net/http set at
// its own last request, and one that is not used ends.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		l := pipes{make(chan net.Conn, 1), make(chan struct{})}
		l.conn <- theirs
		server := &http.Server{
			ConnState: shortcut.ConnState, IdleTimeout: time.Minute, WriteTimeout: 30 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-By", "net/http") }),
		}
		go func() {
			_ = server.Serve(&shortcut.Listener{Listener: l, Path: "/auth", Idle: time.Minute, Answer: answer})
		}()
		w := &wire{t, ours, bufio.NewReader(ours), server, nil}
		w.asks(hot, "net/http")
		for range 10 {
			time.Sleep(50 * time.Second) // in the bubble: no time passes
			w.asks(hot, "shortcut")
		}
		begin := time.Now()
		_ = ours.SetReadDeadline(time.Time{})
		if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("an idle connection: %v, want EOF", err)
		}
		if took := time.Since(begin); took < 50*time.Second || took > time.Minute {
			t.Errorf("an idle connection ended after %s, want about a minute", took)
		}
		_ = server.Close()
	})
}
