package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	minDays    = 14
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":` +
		`{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"doctor","version":"1"}}}`
)

func jsonHeader() map[string]string {
	return map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
}

func checks() []check {
	return []check{
		{"certificate", "run certbot renew, and reload nginx; see docs on certificates", certificate},
		{"TLS versions", "ssl_protocols TLSv1.2 TLSv1.3 in nginx/gatehouse/server/tls.conf", tlsVersions},
		{"redirect", "let the server block of port 80 answer 301 to https with the host kept", redirect},
		{
			"security headers",
			"include gatehouse/server/headers.conf; an add_header in a location drops all of them",
			securityHeaders,
		},
		{"server version", "server_tokens off in nginx.conf", serverVersion},
		{
			"health",
			"systemctl status 'gatehouse-bridge@*' and its journal: the bridge, or the server behind it, does not start",
			health,
		},
		{"metrics closed", "include gatehouse/server/health.conf: /metrics is for private ranges only", metricsClosed},
		{"challenge", "include gatehouse/location/protect.conf in the location; authsvc must be reachable", challenge},
		{"spoofed identity", "include gatehouse/location/bridge.conf in every location that proxies to the bridge", spoofed},
		{"browser is sent on", "include gatehouse/server/refusals.conf", browser},
		{
			"metadata",
			"proxy /.well-known/oauth-protected-resource to authsvc; --public-url must be the address that clients use",
			metadata,
		},
		{
			"published addresses",
			"let the issuer that authsvc is told answer at the address that clients see, " +
				"and publish no endpoint that is not there",
			published,
		},
		{"unknown path", "paths that nothing answers must be refused, never answered with a page of 200", unknownPath},
	}
}

func address(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), "443")
}

func (g *gate) handshake(ctx context.Context, c *tls.Config) (tls.ConnectionState, error) {
	c.RootCAs, c.ServerName = g.roots, g.url.Hostname()
	d := tls.Dialer{Config: c}
	conn, err := d.DialContext(ctx, "tcp", address(g.url))
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close() //nolint:errcheck // only the handshake mattered
	return conn.(*tls.Conn).ConnectionState(), nil
}

func certificate(ctx context.Context, g *gate) error {
	state, err := g.handshake(ctx, &tls.Config{})
	if err != nil {
		return err
	}
	days := int(time.Until(state.PeerCertificates[0].NotAfter).Hours() / 24)
	if days < minDays {
		return fmt.Errorf("%d days left, want at least %d", days, minDays)
	}
	return nil
}

// tlsVersions follows RFC 8996: 1.0 and 1.1 are gone.
func tlsVersions(ctx context.Context, g *gate) error {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if _, err := g.handshake(ctx, &tls.Config{MinVersion: v, MaxVersion: v}); err != nil {
			return fmt.Errorf("%s is refused: %w", tls.VersionName(v), err)
		}
	}
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		//nolint:gosec // the old version is offered to see it refused
		if _, err := g.handshake(ctx, &tls.Config{MinVersion: v, MaxVersion: v}); err == nil {
			return fmt.Errorf("%s is taken", tls.VersionName(v))
		}
	}
	return nil
}

func redirect(ctx context.Context, g *gate) error {
	a, err := g.ask(ctx, http.MethodGet, g.plain+"/sse?a=b", "", nil)
	if err != nil {
		return err
	}
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode/100 != 3 || to.Scheme != "https" || address(to) != address(g.url) ||
		to.RequestURI() != "/sse?a=b" {
		return fmt.Errorf("%s/sse?a=b answered %d, Location %q", g.plain, a.StatusCode, a.Header.Get("Location"))
	}
	return nil
}

// secureValues is what each header must say: a value that switches it off is
// none, nor is an HSTS of less than some days.
func secureValues() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"Strict-Transport-Security": regexp.MustCompile(`(?i)(^|;)\s*max-age="?[0-9]{6,}`),
		"X-Content-Type-Options":    regexp.MustCompile(`(?i)^nosniff$`),
		"X-Frame-Options":           regexp.MustCompile(`(?i)^(deny|sameorigin)$`),
		"Referrer-Policy":           regexp.MustCompile(`(?i)^(no-referrer|same-origin|strict-origin(-when-cross-origin)?)$`),
	}
}

// securityHeaders looks at a page and at a refusal: both need all of them.
func securityHeaders(ctx context.Context, g *gate) error {
	secure := secureValues()
	for _, path := range []string{"/health", "/mcp"} {
		a, err := g.ask(ctx, http.MethodGet, path, "", nil)
		if err != nil {
			return err
		}
		for name, want := range secure {
			if got := a.Header.Values(name); len(got) != 1 || !want.MatchString(got[0]) {
				return fmt.Errorf("%s (status %d) has %s %q, want it once and strict", path, a.StatusCode, name, got)
			}
		}
	}
	return nil
}

func serverVersion(ctx context.Context, g *gate) error {
	a, err := g.ask(ctx, http.MethodGet, "/health", "", nil)
	if err == nil && strings.ContainsAny(a.Header.Get("Server"), "0123456789") {
		return fmt.Errorf("the Server header tells the version: %q", a.Header.Get("Server"))
	}
	return err
}

func health(ctx context.Context, g *gate) error {
	a, err := g.ask(ctx, http.MethodGet, "/health", "", nil)
	if err == nil && (a.StatusCode != http.StatusOK || a.body != "healthy\n") {
		if why := a.Header.Get("X-Gate-Fault"); why != "" {
			return fmt.Errorf("the bridge is down: nginx gets %s from the address in site/upstreams.conf", why)
		}
		return fmt.Errorf("/health answered %d %.60q: the bridge is there, and says that it is ill", a.StatusCode, a.body)
	}
	return err
}

func metricsClosed(ctx context.Context, g *gate) error {
	a, err := g.ask(ctx, http.MethodGet, "/metrics", "", nil)
	if err == nil && !a.closed() {
		return fmt.Errorf("/metrics answered %d; looked at from inside a private range this is as it should be", a.StatusCode)
	}
	return err
}

// closed tells whether the path is refused to everybody: a limit refuses only
// for now.
func (a answer) closed() bool {
	return a.StatusCode/100 == 4 && a.StatusCode != http.StatusTooManyRequests
}

// challenge knocks at each door, and with a token that is none.
func challenge(ctx context.Context, g *gate) error {
	invented := jsonHeader()
	invented["Authorization"] = "Bearer doctor"
	for _, knock := range []struct {
		method, path, body string
		header             map[string]string
	}{
		{http.MethodPost, "/mcp", initialize, jsonHeader()},
		{http.MethodPost, "/mcp", initialize, invented},
		{http.MethodPost, "/message", initialize, jsonHeader()},
		{http.MethodGet, "/sse", "", map[string]string{"Accept": "text/event-stream"}},
	} {
		if err := g.knock(ctx, knock.method, knock.path, knock.body, knock.header); err != nil {
			return err
		}
	}
	return nil
}

// knock wants a refusal. Where it gets a stream instead, that never ends.
func (g *gate) knock(ctx context.Context, method, path, body string, header map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, firstByte)
	defer cancel()
	a, err := g.ask(ctx, method, path, body, header)
	if a.Response == nil {
		return err
	}
	return a.refused(method + " " + path)
}

// refused wants what RFC 9728 section 5.1 wants, and once.
func (a answer) refused(path string) error {
	if a.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("%s without good credentials answered %d, want 401", path, a.StatusCode)
	}
	got := a.Header.Values("WWW-Authenticate")
	if len(got) != 1 || !strings.HasPrefix(got[0], "Bearer ") || !strings.Contains(got[0], "resource_metadata=") {
		return fmt.Errorf("%s has WWW-Authenticate %q, want one Bearer challenge with resource_metadata", path, got)
	}
	return nil
}

func spoofed(ctx context.Context, g *gate) error {
	header := jsonHeader()
	for _, name := range []string{"X-User-Id", "X-User-Email", "X-User-Roles", "X-User-Assertion", "X-Forwarded-User"} {
		header[name] = "mcp-admin"
	}
	header["X-Auth-Status"] = "200"
	a, err := g.ask(ctx, http.MethodPost, "/mcp", initialize, header)
	if err == nil && a.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("a request that names itself an administrator was answered %d", a.StatusCode)
	}
	return err
}

func browser(ctx context.Context, g *gate) error {
	a, err := g.ask(
		ctx,
		http.MethodGet,
		"/mcp",
		"",
		map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "navigate"},
	)
	if err == nil && (a.StatusCode/100 != 3 || !strings.Contains(a.Header.Get("Location"), "/login")) {
		return fmt.Errorf(
			"a browser's visit was answered %d, Location %q, want a redirect to /login",
			a.StatusCode,
			a.Header.Get("Location"),
		)
	}
	return err
}

func metadata(ctx context.Context, g *gate) error {
	doc, err := g.metadata(ctx)
	if err != nil {
		return err
	}
	if want := g.url.String() + "/mcp"; doc.Resource != want || len(doc.Servers) == 0 {
		return fmt.Errorf("resource %q (want %q), %d authorization servers", doc.Resource, want, len(doc.Servers))
	}
	return nil
}

func unknownPath(ctx context.Context, g *gate) error {
	a, err := g.ask(ctx, http.MethodGet, "/.well-known/openid-configuration-none", "", nil)
	if err == nil && !a.closed() {
		return fmt.Errorf("a path that does not exist was answered %d", a.StatusCode)
	}
	return err
}
