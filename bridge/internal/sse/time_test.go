package sse_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/identity"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/sse"
)

// hijacked is an answer whose connection the front takes over.
type hijacked struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

// inTime opens a stream in a bubble, where time passes when everybody waits.
func inTime(t *testing.T, f func(t *testing.T, client net.Conn, table *session.Table)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		limits := session.DefaultLimits()
		server := fleet.NewServer(fleet.ServerConfig{Limits: limits.Limits, Log: zerolog.Nop()})
		table := session.NewTable("", limits, server)
		front := &sse.Front{Table: table, Server: server, Open: &sync.WaitGroup{}}
		ours, theirs := net.Pipe()
		opened := make(chan struct{})
		go func() { // the headers wait for a client that reads
			defer close(opened)
			w := hijacked{httptest.NewRecorder(), theirs}
			identity.Nobody(http.HandlerFunc(front.Stream)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/sse", nil))
		}()
		f(t, ours, table)
		_ = ours.Close()
		<-opened
		front.Open.Wait()
		if err := table.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestASilentStreamIsKeptOpen: proxies cut a connection on which nothing comes
// for a minute, and a comment is nothing to a client.
func TestASilentStreamIsKeptOpen(t *testing.T) {
	inTime(t, func(t *testing.T, client net.Conn, _ *session.Table) {
		in := bufio.NewReader(client)
		begin := time.Now()
		for n := 0; n < 4; {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == ": keepalive\n" {
				n++
				if since := time.Since(begin); since != time.Duration(n)*15*time.Second {
					t.Errorf("comment %d came after %s", n, since)
				}
			}
		}
	})
}

// TestAPeerThatTakesNoByteIsGone after a minute, and its session with it.
func TestAPeerThatTakesNoByteIsGone(t *testing.T) {
	inTime(t, func(t *testing.T, _ net.Conn, table *session.Table) {
		time.Sleep(59 * time.Second) // in the bubble: no time passes
		if table.Len() != 1 {
			t.Errorf("after 59 s %d sessions are open", table.Len())
		}
		time.Sleep(2 * time.Second)
		if table.Len() != 0 {
			t.Errorf("after a minute %d sessions are open", table.Len())
		}
	})
}
