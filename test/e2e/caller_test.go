//go:build e2e

package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var callers atomic.Uint32

// from is an address of this machine that no other caller has: the limit for
// each address is the product's, and tests are not one caller.
func from() net.IP {
	n := callers.Add(1)
	return net.IPv4(127, 1, byte(n>>8), byte(n))
}

// address is the gate's host and port.
func address() string {
	host := strings.TrimPrefix(gate.URL, "https://")
	if _, _, err := net.SplitHostPort(host); err != nil {
		return net.JoinHostPort(host, "443")
	}
	return host
}

// as sets headers on each request.
type as struct {
	next http.RoundTripper
	set  map[string]string
}

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range a.set {
		r.Header.Set(name, value)
	}
	return a.next.RoundTrip(r)
}

// patient waits as a 429 asks and tries again.
type patient struct{ next http.RoundTripper }

func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		res, err := p.next.RoundTrip(r)
		if err != nil || res.StatusCode != http.StatusTooManyRequests {
			return res, err
		}
		_ = res.Body.Close()
		seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil {
			return nil, err
		}
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(time.Duration(seconds) * time.Second):
		}
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// client is a caller at an address of its own that keeps to the limits.
func client(set map[string]string) *http.Client {
	c := hasty(set)
	c.Transport = patient{c.Transport}
	return c
}

// hasty is a client that takes a 429 for an answer.
func hasty(set map[string]string) *http.Client {
	c := gate.HTTPClientFrom(from())
	c.Transport = as{c.Transport, set}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func token(t *testing.T, user string) string {
	t.Helper()
	token, err := gate.Token(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// send makes one request and reads the whole answer.
func send(t *testing.T, c *http.Client, method, url string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func get(t *testing.T, url string, set map[string]string) (*http.Response, string) {
	t.Helper()
	return send(t, client(set), http.MethodGet, url)
}

// eventually waits until the condition holds, and says how long it took.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Since(begin) > within {
			t.Fatalf("not within %s: %s", within, what)
		}
		<-tick.C
	}
	return time.Since(begin)
}

// outage stops a part and starts it again when the test ends, or by the
// function that it returns.
func outage(t *testing.T, part string) (over func()) {
	t.Helper()
	if err := gate.Stop(part); err != nil {
		t.Fatal(err)
	}
	done := false
	over = func() {
		if done {
			return
		}
		done = true
		// A Keycloak of a pod starts from nothing each time: two minutes on a busy machine.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if err := gate.StartPart(ctx, part); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(over)
	return over
}

// headersOnce checks that the security headers stand on an answer, each once,
// and HSTS where the answer came by TLS (RFC 6797, 7.2).
func headersOnce(t *testing.T, res *http.Response) {
	t.Helper()
	want := map[string]int{
		"Strict-Transport-Security": 1,
		"X-Content-Type-Options":    1,
		"X-Frame-Options":           1,
		"Referrer-Policy":           1,
	}
	if res.TLS == nil {
		want["Strict-Transport-Security"] = 0
	}
	for name, n := range want {
		if got := len(res.Header.Values(name)); got != n {
			t.Errorf("%s %s: %s stands %d times, want %d", res.Request.URL.Path, res.Status, name, got, n)
		}
	}
}
