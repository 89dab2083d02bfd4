package edge

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

var siteBlock = regexp.MustCompile("(?ms)^```nginx\n# (site/[a-z_]+\\.conf)\n(.*?)^```$")

// lines lays the blocks of one chapter of docs/in-front.md, with this test's
// addresses in place of the page's.
func lines(chapter string, replace ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		page, err := os.ReadFile(filepath.Join("..", "..", "docs", "in-front.md"))
		if err != nil {
			t.Fatal(err)
		}
		_, text, found := strings.Cut(string(page), "\n## "+chapter+"\n")
		text, _, _ = strings.Cut(text, "\n## ")
		blocks := siteBlock.FindAllStringSubmatch(text, -1)
		if !found || len(blocks) == 0 {
			t.Fatalf("the page has no lines in a chapter %q", chapter)
		}
		here := strings.NewReplacer(append(replace, "10.0.0.5", "127.0.0.1")...)
		for _, b := range blocks {
			write(t, filepath.Join(dir, b[1]), here.Replace(b[2]))
		}
	}
}

// oldHTTP2 writes http2 as nginx wants it before 1.25.1, as the page says.
func oldHTTP2(t *testing.T) []string {
	t.Helper()
	if byVersion(t, 0, since{1, 25, 1, 1}) == 1 {
		return nil
	}
	return []string{"ssl proxy_protocol;\nhttp2 on;", "ssl http2 proxy_protocol;"}
}

func (g *gate) addressTold() string { return g.lastAuth.Load().Header.Get("X-Real-Ip") }

// TLS ends at the balancer: plain HTTP behind it is served, not sent to HTTPS.
func TestBehindABalancerThatEndsTLS(t *testing.T) {
	t.Parallel()
	var port int
	g := start(t, options{edit: func(t *testing.T, dir string) {
		port = portOf(t, dir)
		lines("A load balancer that ends TLS", "listen 8080", fmt.Sprintf("listen 127.0.0.1:%d", port))(t, dir)
		write(t, filepath.Join(dir, "site", "certificate.conf"), "")
	}, values: stack.NginxValues{Port: ":443"}})
	site := fmt.Sprintf("http://localhost:%d", port)
	res, body := g.do(
		t,
		"POST",
		site+"/mcp",
		"{}",
		"Authorization",
		bearer,
		"X-Forwarded-For",
		"203.0.113.9",
		"X-Forwarded-Proto",
		"https",
	)
	if res.StatusCode != http.StatusOK || body != "ok" || g.addressTold() != "203.0.113.9" {
		t.Errorf("%s %s, from %s", res.Status, body, g.addressTold())
	}
	if res.Header.Get("Strict-Transport-Security") == "" ||
		g.lastBridge.Load().Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf(
			"HSTS %q, the bridge was told %q",
			res.Header.Get("Strict-Transport-Security"),
			g.lastBridge.Load().Header.Get("X-Forwarded-Proto"),
		)
	}
	if res, _ := g.do(t, "GET", site+"/account", ""); res.StatusCode/100 == 3 {
		t.Errorf("a page is sent to %s", res.Header.Get("Location"))
	}
	if res, _ := g.do(t, "GET", g.plain+"/mcp", ""); res.StatusCode != http.StatusMovedPermanently {
		t.Errorf("port 80: %s, want the redirect", res.Status)
	}
}

// portOf is the port on which the tree listens for HTTPS.
func portOf(t *testing.T, dir string) (port int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "site", "listen_https.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "listen 127.0.0.1:%d", &port); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return port
}

func TestTheProxyProtocolTellsTheAddress(t *testing.T) {
	t.Parallel()
	var port int
	g := start(t, options{edit: func(t *testing.T, dir string) {
		port = portOf(t, dir)
		lines(
			"A load balancer that passes TLS on, with the PROXY protocol",
			append(oldHTTP2(t), "listen 443", fmt.Sprintf("listen 127.0.0.1:%d", port))...)(
			t,
			dir,
		)
		replace(t, filepath.Join(dir, "site", "listen_https_default.conf"), "ssl", "ssl proxy_protocol")
	}})
	out, err := exec.Command("curl", "-sk", "--haproxy-protocol", "-H", "Authorization: "+bearer,
		fmt.Sprintf("https://localhost:%d/mcp", port)).CombinedOutput()
	if err != nil || string(out) != "ok" || g.addressTold() != "127.0.0.1" {
		t.Errorf("%v %s, from %s", err, out, g.addressTold())
	}
}

func TestCloudflareTellsTheAddress(t *testing.T) {
	t.Parallel()
	g := start(t, options{edit: lines("Cloudflare")})
	g.do(t, "POST", "/mcp", "{}", "Authorization", bearer, "CF-Connecting-IP", "203.0.113.9", "X-Forwarded-For", "6.6.6.6")
	if g.addressTold() != "203.0.113.9" {
		t.Errorf("from %s", g.addressTold())
	}
}

// HTTP/3, spoken by curl: the guard holds there too, and a Host that is not the
// gate's is refused.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	if out, _ := exec.Command("nginx", "-V").CombinedOutput(); !strings.Contains(string(out), "http_v3_module") {
		t.Skip("this nginx speaks no HTTP/3 (1.25 and later do): make edge NGINX=trixie tries it")
	}
	if out, _ := exec.Command("curl", "--version").CombinedOutput(); !strings.Contains(string(out), "HTTP3") {
		t.Fatal("this curl speaks no HTTP/3; Debian 13's does")
	}
	quic := freeport.Port(t)
	g := start(
		t,
		options{
			auth: onlyBearer,
			edit: lines("HTTP/3", "listen 443", fmt.Sprintf("listen 127.0.0.1:%d", quic), ":443", fmt.Sprintf(":%d", quic)),
		},
	)
	if res, _ := g.do(t, "GET", "/health", ""); res.Header.Get("Alt-Svc") != fmt.Sprintf(`h3=":%d"; ma=86400`, quic) {
		t.Errorf("Alt-Svc %q", res.Header.Get("Alt-Svc"))
	}
	curl := func(host string, args ...string) string {
		t.Helper()
		args = append(
			[]string{
				"-sk",
				"--http3-only",
				"--max-time",
				"10",
				"-w",
				" %{http_version} %{http_code}",
				"--resolve",
				fmt.Sprintf("%s:%d:127.0.0.1", host, quic),
			},
			args...)
		out, err := exec.Command("curl", append(args, fmt.Sprintf("https://%s:%d/mcp", host, quic))...).CombinedOutput()
		if err != nil {
			t.Errorf("curl: %v: %s", err, out)
		}
		return string(out)
	}
	for range 2 { // asked, and remembered
		if said := curl("localhost", "-H", "Authorization: "+bearer,
			"-H", "X-User-Id: root", "-d", "{}"); said != "ok 3 200" {
			t.Errorf("signed in: %s", said)
		}
		if h := g.lastBridge.Load().Header; h.Get("X-User-Id") != "u-1" || h.Get("Authorization") != "" {
			t.Errorf("the bridge was told %q, and got %q", h.Get("X-User-Id"), h.Get("Authorization"))
		}
	}
	if said := curl("localhost"); !strings.HasSuffix(said, " 3 401") {
		t.Errorf("nobody: %s", said)
	}
	if said := curl("other.example.com", "-H", "Authorization: "+bearer); !strings.HasSuffix(said, " 3 421") {
		t.Errorf("another host: %s", said)
	}
}
