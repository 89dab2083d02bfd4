package httpkit_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"gatehouse/internal/httpkit"
)

// manager listens where a service manager would.
func manager(t *testing.T) (socket string, next func() string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return socket, func() string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 64)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func env(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestNotifierTellsTheManager(t *testing.T) {
	socket, next := manager(t)
	usec := strconv.FormatInt((20 * time.Millisecond).Microseconds(), 10)
	n, err := httpkit.NewNotifier(env(map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": usec}))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(); err != nil || next() != "READY=1" {
		t.Errorf("ready: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Watchdog(ctx) }()
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q; want a sign of life", got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNotifierWithoutManagerDoesNothing(t *testing.T) {
	n, err := httpkit.NewNotifier(env(map[string]string{"WATCHDOG_USEC": "soon"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{n.Ready(), n.Stopping(), n.Watchdog(t.Context())} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestNotifierRefusesABadWatchdog(t *testing.T) {
	for _, usec := range []string{"soon", "0", "-1", "9223372036854775807"} {
		if _, err := httpkit.NewNotifier(env(map[string]string{"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": usec})); err == nil {
			t.Errorf("WATCHDOG_USEC %s was taken", usec)
		}
	}
}

func TestServeNotifies(t *testing.T) {
	socket, next := manager(t)
	t.Setenv("NOTIFY_SOCKET", socket)
	l, err := httpkit.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		endpoint := httpkit.Endpoint{Listener: l, Server: &http.Server{Handler: httpkit.Live()}}
		done <- httpkit.Serve(ctx, time.Second, nil, endpoint)
	}()
	if got := next(); got != "READY=1" {
		t.Errorf("first word %q; want READY=1", got)
	}
	if err := httpkit.Probe(t.Context(), "http://"+l.Addr().String()); err != nil {
		t.Errorf("ready, but: %v", err)
	}
	stop()
	if got := next(); got != "STOPPING=1" {
		t.Errorf("at the end %q; want STOPPING=1", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProbeTakesOnly200(t *testing.T) {
	for code, want := range map[int]bool{200: true, 204: false, 302: false, 503: false} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/")
			w.WriteHeader(code)
		}))
		if err := httpkit.Probe(t.Context(), srv.URL); (err == nil) != want {
			t.Errorf("%d: %v", code, err)
		}
		srv.Close()
	}
}
