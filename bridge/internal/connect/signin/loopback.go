package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// loopback waits for the browser to come back from the authorization server.
type loopback struct {
	url    string
	state  string
	issuer *issuer
	server *http.Server
	answer chan answer
	ended  chan struct{}
}

type answer struct {
	code string
	err  error
}

const (
	callback   = "/callback"
	headerTime = 10 * time.Second
)

// listen takes the port of the redirect that is registered already, where it
// is free: few servers follow RFC 8252 and take any port.
func (s *Source) listen(ctx context.Context, registered string, at *issuer) (*loopback, error) {
	ports := []string{strconv.Itoa(s.opts.Port)}
	if u, err := url.Parse(registered); err == nil && registered != "" && s.opts.Port == 0 {
		ports = []string{u.Port(), "0"}
	}
	var l net.Listener
	var err error
	for _, port := range ports {
		var config net.ListenConfig
		if l, err = config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the port that the browser comes back to: %w", err)
	}
	b := &loopback{
		url: "http://" + l.Addr().String() + callback, state: rand.Text(), issuer: at,
		answer: make(chan answer, 1), ended: make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callback, b.serve)
	b.server = &http.Server{Handler: mux, ReadHeaderTimeout: headerTime}
	go func() {
		defer close(b.ended)
		_ = b.server.Serve(l) // it ends with close
	}()
	return b, nil
}

func (b *loopback) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if b.server.Shutdown(ctx) != nil { // lets the browser read its page
		_ = b.server.Close()
	}
	<-b.ended
}

// code waits for the browser. There is no time limit: who signs in may have to
// look for a key.
func (b *loopback) code(ctx context.Context) (string, error) {
	select {
	case a := <-b.answer:
		return a.code, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// serve takes the one answer that has the state of this sign-in: any page that
// the user looks at can send a browser here.
func (b *loopback) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(b.state)) != 1 {
		page(w, http.StatusBadRequest, "This is not the answer to a sign-in that is going on.")
		return
	}
	code, err := b.check(q)
	select {
	case b.answer <- answer{code, err}:
	default: // answered already
	}
	if err != nil {
		page(w, http.StatusBadRequest, "The sign-in failed. The program that asked for it says why.")
		return
	}
	page(w, http.StatusOK, "You are signed in. You can close this window.")
}

// check compares the issuer as text, whether the server announced it or not
// (RFC 9207, section 2.4; 2026-07-28, basic/authorization).
func (b *loopback) check(q url.Values) (string, error) {
	switch iss := q.Get("iss"); {
	case q.Has("iss") && iss != b.issuer.Issuer:
		return "", fmt.Errorf("the answer is of another issuer, %q, not of %q", iss, b.issuer.Issuer)
	case b.issuer.SendsIssuer && !q.Has("iss"):
		return "", errors.New("the answer names no issuer, though the authorization server said that it would")
	case q.Get("error") != "":
		return "", fmt.Errorf("the authorization server answered %s", printable(q.Get("error")))
	case q.Get("code") == "":
		return "", errors.New("the answer has no code")
	}
	return q.Get("code"), nil
}

func page(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Connection", "close")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!doctype html><title>gatehouse</title><p>%s</p>\n", text)
}
