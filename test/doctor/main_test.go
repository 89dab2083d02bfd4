package main

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// stub is a good gate, as a stranger sees one; each test breaks one thing.
type stub struct {
	tls     *tls.Config
	headers map[string]string
	change  func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	plain   func(w http.ResponseWriter, r *http.Request)
	limit   int64 // requests to /mcp until 429

	url  string
	seen atomic.Int64
}

const token, rolelessToken = "a-token", "a-stranger"

func goodStub() *stub {
	return &stub{
		limit: 40,
		tls:   &tls.Config{MinVersion: tls.VersionTLS12},
		headers: map[string]string{
			"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Server": "nginx",
		},
	}
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range s.headers {
		w.Header().Set(name, value)
	}
	if s.change != nil && s.change(w, r) {
		return
	}
	switch r.URL.Path {
	case "/health":
		_, _ = fmt.Fprintln(w, "healthy")
	case "/metrics":
		w.WriteHeader(http.StatusForbidden)
	case "/.well-known/oauth-protected-resource/mcp":
		_, _ = fmt.Fprintf(w, `{"resource":%q,"authorization_servers":[%q]}`, s.url+"/mcp", s.url+"/realms/r")
	case "/.well-known/oauth-authorization-server/realms/r":
		_, _ = fmt.Fprintf(
			w,
			`{"issuer":%q,"token_endpoint":%q,"registration_endpoint":%q}`,
			s.url+"/realms/r",
			s.url+"/token",
			s.url+"/register",
		)
	case "/token":
		w.WriteHeader(http.StatusMethodNotAllowed)
	case "/mcp", "/message", "/sse":
		s.guarded(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *stub) guarded(w http.ResponseWriter, r *http.Request) {
	if s.limit > 0 && s.seen.Add(1) > s.limit {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	switch {
	case r.Header.Get("Authorization") == "Bearer "+token && r.URL.Path == "/sse":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "event: endpoint\ndata: /message?sessionId=x\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case r.Header.Get("Authorization") == "Bearer "+rolelessToken:
		w.WriteHeader(http.StatusForbidden)
	case r.Header.Get("Authorization") == "Bearer "+token:
		_, _ = fmt.Fprint(w, `{"result":{"serverInfo":{}}}`)
	case r.Header.Get("Sec-Fetch-Mode") == "navigate":
		http.Redirect(w, r, "/login?return_to=/mcp", http.StatusFound)
	default:
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="x", scope="mcp.access"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// examineStub runs the doctor on the stub, as the command does.
func examineStub(t *testing.T, s *stub) (int, string) {
	t.Helper()
	gate := httptest.NewUnstartedServer(s)
	gate.TLS = s.tls
	gate.Config.ErrorLog = nil
	gate.StartTLS()
	defer gate.Close()
	s.url = gate.URL
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.plain != nil {
			s.plain(w, r)
			return
		}
		http.Redirect(w, r, s.url+r.URL.RequestURI(), http.StatusMovedPermanently)
	}))
	defer plain.Close()
	dir := t.TempDir()
	ca, tokenFile, rolelessFile := filepath.Join(
		dir,
		"ca.pem",
	), filepath.Join(
		dir,
		"token",
	), filepath.Join(
		dir,
		"stranger",
	)
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: gate.Certificate().Raw})
	for name, data := range map[string][]byte{
		ca: block, tokenFile: []byte(token + "\n"), rolelessFile: []byte(rolelessToken),
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	code := run(
		t.Context(),
		[]string{
			"-pause",
			"0",
			"-ca-file",
			ca,
			"-token-file",
			tokenFile,
			"-roleless-token-file",
			rolelessFile,
			"-http",
			plain.URL,
			gate.URL,
		},
		&out,
		&out,
	)
	return code, out.String()
}

func TestGoodGatePasses(t *testing.T) {
	code, out := examineStub(t, goodStub())
	if code != 0 || strings.Contains(out, "fail ") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if strings.Contains(out, token) {
		t.Error("the token is printed")
	}
}

// on answers one path in its own way.
func on(path string, h http.HandlerFunc) func(*stub) {
	return func(s *stub) {
		s.change = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != path {
				return false
			}
			h(w, r)
			return true
		}
	}
}

func TestOneThingBroken(t *testing.T) {
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	cases := map[string]struct {
		fails string // the only check that may fail
		broke func(*stub)
	}{
		"old TLS":     {"TLS versions", func(s *stub) { s.tls.MinVersion = tls.VersionTLS10 }},
		"no TLS 1.3":  {"TLS versions", func(s *stub) { s.tls.MaxVersion = tls.VersionTLS12 }},
		"no redirect": {"redirect", func(s *stub) { s.plain = ok }},
		"redirect without the query": {"redirect", func(s *stub) {
			s.plain = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, s.url+r.URL.Path, http.StatusMovedPermanently)
			}
		}},
		"redirect to another port": {"redirect", func(s *stub) {
			s.plain = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, s.url+"0"+r.URL.RequestURI(), http.StatusMovedPermanently)
			}
		}},
		"redirect elsewhere": {"redirect", func(s *stub) {
			s.plain = http.RedirectHandler("https://other.example/sse", http.StatusMovedPermanently).ServeHTTP
		}},
		"no HSTS":           {"security headers", func(s *stub) { delete(s.headers, "Strict-Transport-Security") }},
		"version shown":     {"server version", func(s *stub) { s.headers["Server"] = "nginx/1.22.1" }},
		"HSTS switched off": {"security headers", func(s *stub) { s.headers["Strict-Transport-Security"] = "max-age=0" }},
		"frames for all":    {"security headers", func(s *stub) { s.headers["X-Frame-Options"] = "ALLOWALL" }},
		"unhealthy": {
			"health",
			on(
				"/health",
				func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); _, _ = fmt.Fprintln(w, "unhealthy") },
			),
		},
		"metrics open": {"metrics closed", on("/metrics", ok)},
		"metrics limited": {
			"metrics closed",
			on("/metrics", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }),
		},
		"any token is taken": {"challenge", func(s *stub) { s.change = takeAnyToken }},
		"stream unguarded": {"challenge", on("/sse", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprint(w, "event: endpoint\ndata: /message?sessionId=x\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})},
		"message unguarded": {"challenge", on("/message", ok)},
		"metadata is a page": {
			"metadata",
			on(
				"/.well-known/oauth-protected-resource/mcp",
				func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") },
			),
		},
		"other public URL": {
			"metadata",
			on("/.well-known/oauth-protected-resource/mcp", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprint(w, `{"resource":"http://127.0.0.1/mcp"}`)
			}),
		},
		"a dead token endpoint": {"published addresses", on("/token", http.NotFound)},
		"an issuer that is not there": {
			"published addresses",
			on("/.well-known/oauth-authorization-server/realms/r", http.NotFound),
		},
		"an issuer of another name": {
			"published addresses",
			on("/.well-known/oauth-authorization-server/realms/r", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprint(w, `{"issuer":"https://inside.example"}`)
			}),
		},
		"a user without the role is let in": {"role", func(s *stub) {
			s.change = func(w http.ResponseWriter, r *http.Request) bool {
				return r.Header.Get("Authorization") == "Bearer "+rolelessToken
			}
		}},
		"the bridge is down": {"health", on("/health", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Gate-Fault", "no answer")
			w.WriteHeader(503)
			_, _ = fmt.Fprintln(w, "unhealthy")
		})},
		"catch-all page": {"unknown path", on("/.well-known/openid-configuration-none", ok)},
		"a page that forwards": {
			"unknown path",
			on("/.well-known/openid-configuration-none", http.RedirectHandler("/login", http.StatusFound).ServeHTTP),
		},
		"a role that lacks": {"session              initialize answered 403: The role x is missing.", func(s *stub) {
			s.change = func(w http.ResponseWriter, r *http.Request) bool {
				lacks := r.URL.Path == "/mcp" && r.Header.Get("Authorization") == "Bearer "+token
				if lacks {
					w.WriteHeader(http.StatusForbidden)
					_, _ = fmt.Fprint(w, `{"error": "Forbidden", "message": "The role x is missing."}`)
				}
				return lacks
			}
		}},
		"no limit": {"limit for an address", func(s *stub) { s.limit = 0 }},
		"stream that is held": {"stream", func(s *stub) {
			s.change = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/sse" || r.Header.Get("Authorization") == "" {
					return false
				}
				w.Header().Set("Content-Type", "text/event-stream")
				<-r.Context().Done()
				return true
			}
		}},
		"believes plain header": {"spoofed identity", func(s *stub) { s.change = believe }},
		"browser gets a 401": {"browser is sent on", func(s *stub) {
			s.change = func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Sec-Fetch-Mode"); return false }
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := goodStub()
			tc.broke(s)
			code, out := examineStub(t, s)
			if code != 1 {
				t.Errorf("exit %d, want 1:\n%s", code, out)
			}
			if n := strings.Count(out, "fail "); n != 1 || !strings.Contains(out, "fail  "+tc.fails) {
				t.Errorf("%d checks failed, want only %q:\n%s", n, tc.fails, out)
			}
			if !strings.Contains(out, "mend: ") {
				t.Error("nothing says how to mend it")
			}
		})
	}
}

func believe(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("X-User-Email") == "" {
		return false
	}
	w.WriteHeader(http.StatusOK)
	return true
}

func takeAnyToken(w http.ResponseWriter, r *http.Request) bool {
	if auth := r.Header.Get("Authorization"); auth == "" || auth == "Bearer "+token || auth == "Bearer "+rolelessToken {
		return false
	}
	w.WriteHeader(http.StatusOK)
	return true
}

// From far away each request takes long: the limit is met all the same.
func TestALimitIsSeenFromFarAway(t *testing.T) {
	const way, rate, allowance = 150 * time.Millisecond, 10, 21
	begun, s := time.Now(), goodStub()
	var taken atomic.Int64
	gate := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(way):
		case <-r.Context().Done():
		}
		if float64(taken.Add(1)) > allowance+rate*time.Since(begun).Seconds() {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer gate.Close()
	g, err := parse([]string{gate.URL})
	if err != nil {
		t.Fatal(err)
	}
	g.client = gate.Client()
	if err := lookAt(t.Context(), limitCheck(), g); err != nil {
		t.Error(err)
	}
}

func TestHostChecks(t *testing.T) {
	dir := t.TempDir()
	env := filepath.Join(dir, "a.env")
	if err := os.WriteFile(env, []byte("A=b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gate{env: filepath.Join(dir, "*.env")}
	if err := secretsMode(t.Context(), g); err != nil {
		t.Errorf("mode 600: %v", err)
	}
	if err := os.Chmod(env, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := secretsMode(t.Context(), g); err == nil {
		t.Error("mode 640 passes")
	}
	g.env = filepath.Join(dir, "*.none") + "," + filepath.Join(dir, "*.env")
	if err := secretsMode(t.Context(), g); err == nil {
		t.Error("mode 640 passes in the second place")
	}
	g.env = filepath.Join(dir, "*.none")
	if err := secretsMode(t.Context(), g); err == nil {
		t.Error("no file at all passes")
	}
}

func TestAuditLogMustGrow(t *testing.T) {
	var dead atomic.Bool
	file := filepath.Join(t.TempDir(), "log")
	gateServer := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if dead.Load() {
			return
		}
		if err := os.WriteFile(file, []byte("{}\n{}\n"), 0o600); err != nil {
			t.Error(err)
		}
	}))
	defer gateServer.Close()
	g, err := parse([]string{gateServer.URL})
	if err != nil {
		t.Fatal(err)
	}
	g.client, g.log = gateServer.Client(), file
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := auditLog(t.Context(), g); err != nil {
		t.Errorf("a log that grows: %v", err)
	}
	dead.Store(true)
	if err := auditLog(t.Context(), g); err == nil {
		t.Error("a log that was written a moment ago, and is no more, passes")
	}
}

func TestBadUse(t *testing.T) {
	for _, args := range [][]string{{}, {"http://plain.example"}, {"https://a", "https://b"}, {"-nonsense"}} {
		var out bytes.Buffer
		if code := run(t.Context(), args, &out, &out); code != 2 {
			t.Errorf("%q: exit %d, want 2", args, code)
		}
	}
}
