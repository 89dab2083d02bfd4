package httpkit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

const unixPrefix = "unix:"

// Listen opens a TCP address (host:port) or a unix socket (unix:PATH). A
// socket file that nobody answers on is left over from a crash and replaced.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	path, isUnix := strings.CutPrefix(addr, unixPrefix)
	if !isUnix {
		l, err := lc.Listen(ctx, "tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("%s is taken by another program: stop that one, or give another address: %w", addr, err)
		}
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		return l, nil
	}
	if err := removeStaleSocket(ctx, path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	// nginx is another user: who may come in is for the folder's mode to say,
	// as a port is open to all that reach its address. Executable, for of its
	// tests for files only -x finds a socket (nginx/gatehouse/server/servers.conf).
	if err := os.Chmod(path, 0o777); err != nil { //nolint:gosec // see above
		_ = l.Close()
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

func removeStaleSocket(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another process answers on %s", path)
	}
	return os.Remove(path)
}

// IsLocal reports whether only this machine can reach the address: loopback
// or a unix socket. A name other than localhost is not local.
func IsLocal(addr string) bool {
	if strings.HasPrefix(addr, unixPrefix) {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Endpoint is a listener and what answers on it.
type Endpoint struct {
	Listener net.Listener
	Server   *http.Server
}

const lastWords = time.Second // for answers, when the grace is over

// Serve runs the endpoints until ctx ends or one of them fails, then drains:
// it calls drain (which may end open streams; it may be nil), stops taking
// connections and waits at most grace for the requests under way. The service
// manager that started the process, if any, hears of the start and the end.
func Serve(ctx context.Context, grace time.Duration, drain func(context.Context), endpoints ...Endpoint) error {
	manager, err := NewNotifier(os.Getenv)
	if err != nil {
		return err
	}
	alive, endWatch := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_ = manager.Watchdog(alive) // a manager that hears nothing restarts us
	}()
	defer func() { endWatch(); <-watched }()
	failed := make(chan error, len(endpoints))
	for _, e := range endpoints {
		go func() {
			if err := e.Server.Serve(e.Listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", e.Listener.Addr(), err)
				return
			}
			failed <- nil
		}()
	}
	// A manager that cannot be told ends the wait for the start by its own
	// time limit: no reason to take the gate down here.
	_ = manager.Ready()
	var first error
	left := len(endpoints)
	select {
	case <-ctx.Done():
	case first = <-failed:
		left--
	}
	_ = manager.Stopping()
	deadline := time.Now().Add(grace)
	graceCtx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	if drain != nil {
		drain(graceCtx)
	}
	// What the drain ended has still to be told to those who wait for it.
	endCtx, end := context.WithTimeout(context.WithoutCancel(ctx), time.Until(deadline)+lastWords)
	defer end()
	for _, e := range endpoints {
		if err := e.Server.Shutdown(endCtx); err != nil {
			_ = e.Server.Close() // the grace is over: what is still open is cut
		}
	}
	for range left {
		first = errors.Join(first, <-failed)
	}
	return first
}
