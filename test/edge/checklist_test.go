package edge

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The guide's checklist, a test for each of its eight lines, on nginx/site as
// it is shipped, but for a rate that a slow machine exceeds too.
func TestChecklist(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: patient(shipped(t)), bridge: doctored, auth: refuse(401)})
	t.Run("1 HTTPS is forced", g.forcesHTTPS)
	t.Run("2 TLS 1.2 and 1.3 and nothing older", g.speaksNewTLSOnly)
	t.Run("3 security headers", func(t *testing.T) {
		res, _ := g.do(t, "GET", "/health", "")
		for _, name := range securityHeaders {
			if res.Header.Get(name) == "" {
				t.Errorf("no %s", name)
			}
		}
	})
	t.Run("4 more than ten a second are refused", g.limitsAnAddress)
	t.Run("5 the audit log is JSON", g.logsEachRequest)
	t.Run("6 health answers 200", func(t *testing.T) {
		if res, body := g.do(t, "GET", "/health", ""); res.StatusCode != 200 || body != "healthy\n" {
			t.Errorf("%s %q", res.Status, body)
		}
	})
	t.Run(
		"7 the environment's file is its owner's alone",
		func(t *testing.T) { watchesTheHost(t, "secrets' mode", 0o640, 0) },
	)
	t.Run("8 the units are active", func(t *testing.T) { watchesTheHost(t, "units", 0o600, 3) })
}

func (g *gate) forcesHTTPS(t *testing.T) {
	res, _ := g.do(t, "GET", g.plain+"/sse", "")
	if res.StatusCode != http.StatusMovedPermanently || res.Header.Get("Location") != g.url+"/sse" {
		t.Errorf("%s to %q", res.Status, res.Header.Get("Location"))
	}
}

func (g *gate) speaksNewTLSOnly(t *testing.T) {
	versions := map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	}
	for version, want := range versions {
		//nolint:gosec // old versions are offered to see them refused
		conn, err := tls.Dial(
			"tcp",
			strings.TrimPrefix(g.url, "https://"),
			&tls.Config{MinVersion: version, MaxVersion: version, InsecureSkipVerify: true},
		)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

func (g *gate) limitsAnAddress(t *testing.T) {
	for _, path := range []string{"/sse", "/nothing"} {
		if !limited(func(int) *http.Response { res, _ := g.do(t, "GET", path, ""); return res }) {
			t.Errorf("requests in a row for %s, none refused", path)
		}
	}
}

func (g *gate) logsEachRequest(t *testing.T) {
	g.do(t, "GET", "/nothing", "", "User-Agent", "checklist")
	line, _, _ := strings.Cut(g.logged(t, "access.log", "checklist"), "\n")
	entry := map[string]any{}
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		"time", "client_ip", "user_email", "method", "uri", "status", "bytes", "request_time", "user_agent", "user",
		"request_id", "upstream_status", "upstream_time", "limit", "tls", "session",
	} {
		if _, ok := entry[field]; !ok {
			t.Errorf("no %s in %s", field, line)
		}
	}
}

// watchesTheHost lets the doctor look at a host with one thing wrong.
func watchesTheHost(t *testing.T, check string, mode os.FileMode, systemctl int) {
	t.Helper()
	dir := t.TempDir()
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) // authsvc lacks nothing
	t.Cleanup(inside.Close)
	env := filepath.Join(dir, "mcp.env")
	write(t, env, "SLACK_BOT_TOKEN=xoxb\n")
	write(t, filepath.Join(dir, "systemctl"), "#!/bin/sh\nexit $(cat $0.code)\n")
	for _, broken := range []bool{false, true} {
		now, code := os.FileMode(0o600), "0"
		if broken {
			now, code = mode, string(rune('0'+systemctl))
		}
		write(t, filepath.Join(dir, "systemctl.code"), code)
		for file, bits := range map[string]os.FileMode{env: now, filepath.Join(dir, "systemctl"): 0o700} {
			if err := os.Chmod(file, bits); err != nil {
				t.Fatal(err)
			}
		}
		g := sound(t, nil) // anew: the doctor spends the address's allowance
		out, failed := g.doctor(t, []string{"PATH=" + dir + ":" + os.Getenv("PATH")},
			"-host", "-env", env, "-log", filepath.Join(g.dir, "access.log"), "-authsvc", inside.URL)
		if failed != broken || broken && !strings.Contains(out, "fail  "+check) {
			t.Errorf("broken: %t, the doctor says:\n%s", broken, out)
		}
	}
}
