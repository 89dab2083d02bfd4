package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"gatehouse/test/stack"
)

// edit is what an operator does to one file of the tree; an empty before adds
// after to the file, and makes it where there is none.
type edit struct{ file, before, after string }

const (
	gateFile = "conf.d/gatehouse.conf"
	anchor   = "    location = /mcp "
	protect  = "include gatehouse/location/protect.conf;"
	app      = "proxy_pass http://127.0.0.1:9;"
)

// location is an operator's own, in front of the gate's.
func location(text string) []edit { return []edit{{gateFile, anchor, "    " + text + "\n" + anchor}} }

// tree is the gate as it is shipped, with the values of this test.
func tree(t *testing.T, edits []edit) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
		"-days", "1", "-subj", "/CN=mcp.example.com").
		CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	err = stack.RenderNginx(filepath.Join("..", ".."), dir, stack.NginxValues{
		HTTPS: 8443, HTTP: 8080, Cert: cert, Key: key, ServerNames: "mcp.example.com",
		Bridge: "127.0.0.1:3000", BridgeAdmin: "127.0.0.1:3001", Authsvc: "127.0.0.1:4180",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		e.make(t, dir)
	}
	return dir
}

func (e edit) make(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join(dir, e.file)
	text, err := os.ReadFile(file)
	if err != nil && e.before != "" {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), e.before) {
		t.Fatalf("%s has no %q", e.file, e.before)
	}
	edited := strings.ReplaceAll(string(text), e.before, e.after)
	if e.before == "" {
		edited = string(text) + e.after
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
}

func examine(t *testing.T, dir string, more ...string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	code = run(
		t.Context(),
		append([]string{"-conf", filepath.Join(dir, "nginx.conf"), "-prefix", dir}, more...),
		&out,
		&out,
	)
	return code, out.String()
}

func TestBrokenEditsAreFound(t *testing.T) {
	t.Parallel()
	limits := func(before, after string) []edit { return []edit{{"site/limits.conf", before, after}} }
	for name, c := range map[string]struct {
		edits []edit
		file  string // of the fault, as FILE or FILE:LINE
		want  string
	}{
		"a value with a wrong name":          {limits("user_rate = 5", "user_rates = 5"), "site/limits.conf", "user_rates is no value"},
		"a value out of its bounds":          {limits("user_wait = 3", "user_wait = 300"), "site/limits.conf", "user_wait must be"},
		"Lua that cannot be read":            {limits("user_rate = 5,", "user_rate = = 5,"), "site/limits.conf", "unexpected symbol"},
		"a semicolon that is gone":           {[]edit{{"site/names.conf", ";", ""}}, "site/names.conf", "nginx:"},
		"an app that nobody guards":          {location("location /app/ { " + app + " }"), gateFile, "asks nobody"},
		"a FastCGI app that nobody guards":   {location("location /app/ { fastcgi_pass 127.0.0.1:9; }"), gateFile, "asks nobody"},
		"an app inside an if":                {location("location /app/ { if ($arg_x) { " + app + " } }"), gateFile, "asks nobody"},
		"a guard that is switched off":       {location("location /app/ { " + protect + " location /app/in/ { auth_request off; " + app + " } }"), gateFile, "half a guard"},
		"a hook that is replaced":            {location("location /app/ { auth_request /_gatehouse/auth; access_by_lua_block { return } " + app + " }"), gateFile, "half a guard"},
		"a named app behind an open door":    {location("location /app/ { try_files /nothing @app; }\n    location @app { " + app + " }"), gateFile, "asks nobody"},
		"an internal app behind a rewrite":   {location("location /app/ { rewrite ^ /inner last; }\n    location /inner { internal; " + app + " }"), gateFile, "asks nobody"},
		"return in a guarded location":       {location("location /app/ { " + protect + " return 200 secret; }"), gateFile, "before the guard asks"},
		"a prefix that takes all servers":    {location("location ^~ /servers/ { " + protect + " " + app + " }"), gateFile, "takes /servers/"},
		"an expression that takes all":       {location("location ~ ^/ { " + protect + " " + app + " }"), gateFile, "takes /account/"},
		"an add_header in a location":        {location("location /robots.txt { add_header X-A b; return 200; }"), gateFile, "drops all the headers"},
		"a limit_req in a location":          {append(location("location /app/ { limit_req zone=own; "+protect+app+" }"), edit{"site/limits.conf", "", "limit_req_zone $host zone=own:1m rate=1r/s;\n"}), gateFile, "drops the limit"},
		"an error_page in a location":        {location("location /app/ { error_page 404 = @not_found; " + protect + app + " }"), gateFile, "lost sign-in"},
		"an auth_request_set in a location":  {append(location("location /app/ { auth_request_set $own $sent_http_x_user_id; "+protect+app+" }"), edit{"site/limits.conf", "", "map $host $own { default a; }\n"}), gateFile, "drops the verdict"},
		"satisfy any with allow all":         {location("location /app/ { satisfy any; allow all; " + protect + app + " }"), gateFile, "lets everybody in"},
		"satisfy any at the bridge":          {[]edit{{"gatehouse/location/bridge.conf", "", "satisfy any; allow 127.0.0.1; deny all;\n"}}, gateFile, "has no identity"},
		"an upstream that is not there":      {[]edit{{"site/upstreams.conf", `"" gatehouse_bridge;`, `"" gatehouse_brigde;`}}, "site/upstreams.conf", "gatehouse_brigde"},
		"a name and no resolver":             {[]edit{{"site/upstreams.conf", `"" gatehouse_bridge;`, `"" bridge.internal:3000;`}}, "site/upstreams.conf", `"bridge.internal:3000", which is no upstream`},
		"a node that nobody can be":          {[]edit{{"site/upstreams.conf", `"" gatehouse_bridge;`, `"" gatehouse_bridge; Node_1 gatehouse_bridge;`}}, "site/upstreams.conf", "no node's name"},
		"sign-in off at one path":            {[]edit{{gateFile, "location = /sse     { include gatehouse/location/bridge.conf", "location = /sse     { include gatehouse/location/bridge_open.conf"}}, gateFile, "nobody signs in here"},
		"a second name":                      {[]edit{{"site/names.conf", "mcp.example.com", "mcp.example.com mcp.example.org"}}, "site/names.conf", "one public name"},
		"metrics for everybody":              {[]edit{{"site/metrics.conf", "deny all;", "allow all;"}}, "gatehouse/server/health.conf", "metrics are open"},
		"headers with underscores":           {[]edit{{"gatehouse/server/basics.conf", "underscores_in_headers off;", "underscores_in_headers on;"}}, "gatehouse/server/basics.conf", "X_User_Email"},
		"TLS 1.1":                            {[]edit{{"gatehouse/server/tls.conf", "TLSv1.2 TLSv1.3", "TLSv1.1 TLSv1.2"}}, "gatehouse/server/tls.conf", "RFC 8996"},
		"everybody's word on their address":  {[]edit{{"site/trusted_proxies.conf", "", "set_real_ip_from 0.0.0.0/0;\n"}}, "site/trusted_proxies.conf", "everybody may say"},
		"a bridge that is not told who":      {location("location = /two { " + protect + " proxy_set_header Host $host; proxy_pass http://$gatehouse_bridge; }"), gateFile, "not told who calls"},
		"a return for the whole server":      {[]edit{{gateFile, anchor, "    return 404;\n" + anchor}}, gateFile, "before every location"},
		"a gate without sign-in pages":       {[]edit{{gateFile, "    include gatehouse/server/signin.conf;\n", ""}}, gateFile, "the gate does not answer at /login"},
		"no gate at all":                     {[]edit{{gateFile, "    include gatehouse/server/auth.conf;\n", ""}}, "", "there is no gate"},
		"a bridge whose calls leave no line": {[]edit{{gateFile, anchor, "    access_log off;\n" + anchor}}, gateFile, "no line in the audit log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, c.edits)
			code, said := examine(t, dir)
			if code != 1 || !strings.Contains(said, c.want) ||
				!strings.Contains(said, "mend: ") && !strings.Contains(said, "nginx: ") {
				t.Fatalf("exit %d, want %q and how to mend it:\n%s", code, c.want, said)
			}
			if c.file == "" {
				return
			}
			place := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(dir+"/"+c.file) + `(?::\d+)?: .*` + regexp.QuoteMeta(c.want))
			if !place.MatchString(said) && !strings.Contains(said, "nginx: ") {
				t.Errorf("want it at %s:\n%s", c.file, said)
			}
		})
	}
}

// A fault is at the line of the edit, also where it stands in an included file.
func TestAFaultNamesItsLine(t *testing.T) {
	t.Parallel()
	dir := tree(t, []edit{{"site/server/own.conf", "", "# mine\n\nlocation /app/ {\n    " + app + "\n}\n"}})
	if code, said := examine(t, dir); code != 1 ||
		!strings.Contains(said, dir+"/site/server/own.conf:4: location /app/ hands requests on") {
		t.Errorf("exit %d:\n%s", code, said)
	}
}

func TestGoodEditsPass(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]edit{
		"none":                            nil,
		"an app for who is signed in":     location("location /app/ { " + protect + " " + app + " }"),
		"an app that is told who calls":   location("location /app/ { " + protect + " include gatehouse/location/identity.conf; " + app + " }"),
		"an app for everybody":            location("location /app/ { include gatehouse/location/open.conf; " + app + " }"),
		"files for who is signed in":      location("location /files/ { " + protect + " root /srv; try_files $uri =404; }"),
		"files for everybody":             location("location /public/ { root /srv; }"),
		"an answer of nginx's own":        location(`location = /robots.txt { return 200 "Disallow: /"; }`),
		"a named app behind a guard":      location("location /app/ { " + protect + " try_files /nothing @app; }\n    location @app { " + app + " }"),
		"a second bridge":                 location("location = /two { " + protect + " include gatehouse/location/identity.conf; include gatehouse/location/stream.conf; " + app + " }"),
		"a page of its own for 404":       location("location /app/ { " + protect + " error_page 404 = @not_found; include gatehouse/location/refusals.conf; " + app + " }"),
		"a larger body":                   location("location /app/ { " + protect + " client_max_body_size 1g; " + app + " }"),
		"addresses that need no sign-in":  location("location /app/ { satisfy any; allow 10.0.0.0/8; deny all; " + protect + " " + app + " }"),
		"the app's own sign-in":           location("location /app/ { include gatehouse/location/open.conf; include gatehouse/location/credentials.conf; " + app + " }"),
		"other rates, no memory":          {{"site/limits.conf", "user_rate = 5, user_burst = 10, user_wait = 3, refusal_wait = 0.5, verdict_ttl = 2", "user_rate = 0.5, user_burst = 0, user_wait = 0, refusal_wait = 0, verdict_ttl = 0"}},
		"a balancer in front":             {{"site/trusted_proxies.conf", "", "set_real_ip_from 10.0.0.5;\nreal_ip_header X-Forwarded-For;\n"}},
		"many at one address":             {{"site/one_address.conf", "", "10.0.0.7 1;\n"}},
		"an origin that may call":         {{"site/origins.conf", `default "";`, `default ""; "https://app.example.com" $http_origin;`}},
		"no sign-in anywhere":             {{gateFile, "location/bridge.conf", "location/bridge_open.conf"}},
		"another name that is redirected": {{"conf.d/www.conf", "", "server { listen 127.0.0.1:8080; server_name www.example.com; return 301 https://mcp.example.com$request_uri; }\n"}},
		"names that are looked up":        {{"site/upstreams.conf", `"" gatehouse_bridge;`, `"" bridge.internal:3000;`}, {"site/paths.conf", "", "resolver 127.0.0.1;\n"}},
		"two nodes": {{"site/upstreams.conf", `"" gatehouse_bridge;`, `"" gatehouse_bridge; a gatehouse_a; b gatehouse_b;`},
			{"site/upstreams.conf", "", "upstream gatehouse_a { server 10.0.0.11:3000 max_fails=0; }\nupstream gatehouse_b { server 10.0.0.12:3000 max_fails=0; }\n"}},
		"Keycloak at /auth/": {{"site/server/keycloak.conf", "", "include gatehouse/server/keycloak.conf;\n"},
			{"site/upstreams.conf", "", "map \"\" $gatehouse_keycloak { default kc; }\nupstream kc { server 127.0.0.1:8080 max_fails=0; }\n"}},
		"a header more on every answer": {{"site/server/own.conf", "", "add_header X-Own yes always;\n"}},
		"another site with its own ways": {{"conf.d/other.conf", "", "server { listen 127.0.0.1:1; server_name a b; underscores_in_headers on; ssl_protocols TLSv1.1 TLSv1.2; location / { add_header X-A b; proxy_pass http://127.0.0.1:9; } }\n"},
			{"nginx.conf", "http {", "http {\n    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;"}},
		"an expression of its own": location(`location ~ "^/app/[0-9]{1,4}$" { ` + protect + " " + app + " }"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, said := examine(t, tree(t, edits)); code != 0 {
				t.Errorf("exit %d:\n%s", code, said)
			}
		})
	}
}

// nginx of a machine on which the gate is not laid is let alone.
func TestAnNginxWithoutAGatePasses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	edit{
		"nginx.conf",
		"",
		"pid pid; error_log stderr; events {} http { access_log off; server { listen 127.0.0.1:1; location / { proxy_pass http://127.0.0.1:9; } } }\n",
	}.make(
		t,
		dir,
	)
	if code, said := examine(t, dir); code != 0 {
		t.Errorf("exit %d:\n%s", code, said)
	}
}

// A version that is too old is said in one line, before anything else.
func TestAnOldNginxIsRefused(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{"nginx/1.18.0 (Ubuntu)": 1, "nginx/1.21.6": 1, "openresty/1.19.9.1": 1, "something": 2} {
		fake := filepath.Join(t.TempDir(), "nginx")
		// A process that another test starts meanwhile would hold the file open for
		// writing, and a file that is written cannot be run.
		syscall.ForkLock.RLock()
		err := os.WriteFile(fake, []byte(fmt.Sprintf("#!/bin/sh\necho 'nginx version: %s' >&2\n", version)), 0o700)
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
		code, said := examine(t, t.TempDir(), "-nginx", fake)
		if code != want || code == 1 && strings.Count(said, "too old") != 1 {
			t.Errorf("%s: exit %d: %s", version, code, said)
		}
	}
}

func TestBadUse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-none"}, {"word"}, {"-nginx", "/nothing/nginx"}} {
		var out bytes.Buffer
		if code := run(t.Context(), args, &out, &out); code != 2 || out.Len() == 0 {
			t.Errorf("%q: exit %d, said %q", args, code, out.String())
		}
	}
}
