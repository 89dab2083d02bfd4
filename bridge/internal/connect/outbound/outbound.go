// Package outbound is how the other end goes out: the transport with its
// authorities and proxies, and where a request must not go.
//
// It promises that nothing leaves for plain HTTP outside this machine, and that
// what carries a credential stays at the origin that it was meant for. It must
// never know a message or a token.
package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	dialTime  = 30 * time.Second
	idleConns = 32
	hops      = 3 // of a metadata document
)

// ErrForbidden says that a request may not go where it was sent.
var ErrForbidden = errors.New("refused")

// Transport trusts the system's authorities and those of caFile, where one is
// named, and uses the proxies of the usual variables. It speaks HTTP/1.1: a
// connection for each open stream costs less here than HTTP/2 does, and one
// slow stream holds up no other.
func Transport(caFile string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSHandshakeTimeout: dialTime,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // a compressed stream would wait for more
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		TLSClientConfig:     &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(8)},
	}
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca %s holds no certificate in PEM", caFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// Confined is a client whose requests stay at the origin that they were made
// for, and keep their method: they carry credentials.
func Confined(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		first := via[0]
		switch {
		case len(via) > hops:
			return fmt.Errorf("%w: more than %d redirects", ErrForbidden, hops)
		case !SameOrigin(req.URL, first.URL):
			return fmt.Errorf("%w: a redirect from %s to another origin, %s", ErrForbidden, Origin(first.URL), Origin(req.URL))
		case req.Method != first.Method:
			return fmt.Errorf("%w: a redirect that makes %s of %s", ErrForbidden, req.Method, first.Method)
		}
		return nil
	}}
}

// Public is a client for documents that anybody may read. Each hop of a
// redirect is checked as from's own addresses are.
func Public(t http.RoundTripper, from *url.URL) *http.Client {
	return &http.Client{
		Transport: t,
		Timeout:   dialTime,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > hops {
				return fmt.Errorf("%w: more than %d redirects", ErrForbidden, hops)
			}
			_, err := Check(req.URL.String(), from)
			return err
		},
	}
}

// Rigid is a client that follows no redirect: what it sends is a secret for
// one endpoint.
func Rigid(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, Timeout: dialTime, CheckRedirect: func(*http.Request, []*http.Request) error {
		return fmt.Errorf("%w: the endpoint redirects", ErrForbidden)
	}}
}

// Check reads an absolute URL: https, or http on loopback. from is the server
// that named it, or nil for one that the user named: a server elsewhere must
// not send us to a port of this machine.
func Check(raw string, from *url.URL) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: not a URL", ErrForbidden)
	case u.Host == "" || u.User != nil:
		return nil, fmt.Errorf("%w: %q is not a URL with a host and without a user", ErrForbidden, u.Redacted())
	case u.Scheme != "https" && (u.Scheme != "http" || !Loopback(u)):
		return nil, fmt.Errorf("%w: %s is neither https nor on loopback", ErrForbidden, Origin(u))
	case from != nil && Loopback(u) && !Loopback(from):
		return nil, fmt.Errorf("%w: %s names %s, which is on this machine", ErrForbidden, Origin(from), Origin(u))
	}
	return u, nil
}

// Loopback reports whether the URL's host is this machine.
func Loopback(u *url.URL) bool {
	host := u.Hostname()
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// SameOrigin compares scheme, host and port (RFC 6454, section 5).
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// Origin is what may be said of a URL in a log: a path or a query may hold a
// secret.
func Origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
