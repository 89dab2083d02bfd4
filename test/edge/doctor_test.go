package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var doctorProgram = sync.OnceValues(func() (string, error) {
	program, err := filepath.Abs(filepath.Join("..", "..", ".cache", "edge", "doctor"))
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", program, filepath.Join("..", "doctor")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

// doctored is a bridge with all that the doctor asks of one.
func doctored(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/health":
		_, _ = io.WriteString(w, "healthy\n")
	case "/sse":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: endpoint\ndata: /message\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{}}}`)
	}
}

// patient lets the doctor's questions through, and not its burst nor what else is
// sent in a row, however slowly they come: what one address may have does not come
// back meanwhile.
func patient(limits string) string {
	return strings.NewReplacer("rate=1000r/s", "rate=1r/m", "burst=1000 nodelay", "burst=50 nodelay",
		"rate=10r/s", "rate=1r/m", "burst=20 nodelay", "burst=50 nodelay").Replace(limits)
}

// sound is a gate without a fault, but for what broke changes.
func sound(t *testing.T, broke func(*options)) *gate {
	t.Helper()
	var g *gate
	o := options{limits: patient(limits(1000, 1000, 2)), bridge: doctored, days: 30}
	issuer := ""
	issuer = "http://" + serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q}`, issuer, issuer+"/token")
	})
	o.auth = func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/auth":
			_, _ = fmt.Fprintf(w, `{"resource":%q,"authorization_servers":[%q]}`, g.url+"/mcp", issuer)
		case r.Header.Get("Authorization") != bearer:
			refuse(401, "WWW-Authenticate", `Bearer resource_metadata="x", scope="mcp.access"`)(w, r)
		default:
			allow(w, r)
		}
	}
	if broke != nil {
		broke(&o)
	}
	g = start(t, o)
	return g
}

// doctor looks at the gate; failed is its exit code 1.
func (g *gate) doctor(t *testing.T, env []string, args ...string) (out string, failed bool) {
	t.Helper()
	program, err := doctorProgram()
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(g.dir, "token")
	write(t, token, strings.TrimPrefix(bearer, "Bearer "))
	args = append(args, "-pause", "0", "-ca-file", g.dir+"/cert.pem", "-token-file", token, "-http", g.plain, g.url)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("doctor: %v\n%s", err, text)
	}
	if strings.Contains(string(text), "secret-token") {
		t.Error("the doctor prints the token")
	}
	return string(text), err != nil
}

// Behind Docker's proxy all have one address: the doctor says so, and else not.
func TestDoctorSaysThatOneAddressStandsForMany(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{"127.0.0.1 1;\n": true, "": false} {
		g := sound(t, func(o *options) {
			o.limits = patient(shipped(t))
			o.edit = func(t *testing.T, dir string) { write(t, filepath.Join(dir, "site", "one_address.conf"), line) }
		})
		if out, failed := g.doctor(t, nil); failed || strings.Contains(out, "one address for many") != want {
			t.Errorf("one address for many: %t, the doctor says\n%s", want, out)
		}
	}
}

func edited(name, before, after string) func(*options) {
	return func(o *options) { o.edit = replaced(name, before, after) }
}

// The doctor on the gate as it is, and on gates with one thing broken each: it
// finds that thing, that thing only, and says how to mend it.
func TestDoctorFindsTheOneThingThatIsBroken(t *testing.T) {
	t.Parallel()
	answer := func(path string, status int, body string) func(*options) {
		return func(o *options) {
			next := o.bridge
			o.bridge = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != path {
					next(w, r)
					return
				}
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			}
		}
	}
	const site, server = "conf.d/gatehouse.conf", "gatehouse/server/"
	for name, c := range map[string]struct {
		fails string
		broke func(*options)
	}{
		"the bridge is down": {"health               the bridge is down", edited("gatehouse/server/health.conf",
			"proxy_pass http://$gatehouse_health/health", "proxy_pass http://127.0.0.1:1/health")},
		"nothing":                 {"", nil},
		"a certificate that ends": {"certificate", func(o *options) { o.days = 3 }},
		"no TLS 1.3":              {"TLS versions", edited(server+"tls.conf", "TLSv1.2 TLSv1.3", "TLSv1.2")},
		"no redirect": {"redirect", edited(site,
			"return 301 https://$host$gatehouse_port$gatehouse_prefix$request_uri", `return 200 "hello"`)},
		"the guide's redirect": {"redirect", edited(site, "https://$host$gatehouse_port", "https://other.example.com")},
		"no HSTS":              {"security headers", edited(server+"tls.conf", "add_header Strict", "#")},
		"an add_header in /health": {"security headers", edited(server+"health.conf",
			"location = /health {", "location = /health {\n add_header X-A b;")},
		"the version is shown": {"server version", edited("gatehouse/server/basics.conf",
			"server_tokens off", "server_tokens on")},
		"the bridge is ill": {"health", answer("/health", 503, "unhealthy\n")},
		"metrics are open":  {"metrics closed", edited("site/metrics.conf", "deny all;", "allow all;")},
		"one path without a guard": {"challenge", edited(site,
			"location = /message { include gatehouse/location/bridge.conf",
			"location = /message { include gatehouse/location/bridge_open.conf")},
		"a stream without a guard": {"challenge", edited(site,
			"location = /sse     { include gatehouse/location/bridge.conf",
			"location = /sse     { include gatehouse/location/bridge_open.conf")},
		"browsers get a 401": {"browser is sent on", edited("lua/gatehouse/page.lua",
			`mode == "navigate"`, "false")},
		"no metadata": {"metadata", edited(server+"wellknown.conf",
			"location /.well-known/oauth-protected-resource/ ", "location /.well-known/elsewhere/ ")},
		"a page for every path": {"unknown path", edited(site,
			"content_by_lua_block { ngx.exit(404) }", `return 200 "hello";`)},
		"no limit for an address": {"limit for an address", func(o *options) { o.limits = limits(1000, 1000, 2) }},
		"streams are held back": {"stream", edited("gatehouse/location/stream.conf",
			"proxy_buffering off", "proxy_buffering on")},
		"the server does not start": {"session", answer("/mcp", 503, "{}")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, failed := sound(t, c.broke).doctor(t, nil)
			if c.fails == "" {
				if failed {
					t.Errorf("a good gate fails:\n%s", out)
				}
				return
			}
			if strings.Count(out, "fail  ") != 1 || !strings.Contains(out, "fail  "+c.fails) ||
				!strings.Contains(out, "mend: ") ||
				!failed {
				t.Errorf("want only %q to fail, with its mending line:\n%s", c.fails, out)
			}
		})
	}
}
