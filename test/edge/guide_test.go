package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

// The holes of testdata/guide.conf, filled as people do who add sign-in to it
// and know nothing of auth_request's ways.
const (
	naiveAuth = `auth_request /_auth;
auth_request_set $gate_user $upstream_http_x_user_id;
auth_request_set $gate_challenge $upstream_http_www_authenticate;
`
	// 1.0 is what nginx spoke by itself until 1.29.6; with 1.1 every POST hangs.
	naiveServer = `location = /_auth { internal; proxy_http_version 1.0; proxy_pass http://authsvc/auth; }
`
	naiveHTTP = "upstream authsvc { server {{auth}}; }\n"
)

// holes are what is added to the guide's configuration.
type holes struct{ http, server, location string }

// signedIn is the guide's gate with a sign-in added in the obvious way.
var signedIn = holes{http: naiveHTTP, server: naiveServer, location: naiveAuth}

// startGuide is start with the guide's configuration in place of ours.
func startGuide(t *testing.T, o options, h holes) *gate {
	t.Helper()
	g, auth, bridges := behind(t, &o)
	g.patience = hang
	page := template.Must(template.ParseFiles(filepath.Join("testdata", "guide.conf")))
	f, err := os.Create(filepath.Join(g.dir, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	fill := func(text string) string { return strings.ReplaceAll(text, "{{auth}}", auth) }
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "scgi", "uwsgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/tmp-%s;\n", kind, g.dir, kind)
	}
	err = page.Execute(f, map[string]any{
		"Dir": g.dir, "HTTPS": g.ports[0], "HTTP": g.ports[1], "Bridges": bridges, "Temp": temp,
		"Http": fill(h.http), "Server": fill(h.server), "Location": fill(h.location),
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.edit != nil {
		o.edit(t, g.dir)
	}
	g.launch(t, fmt.Sprintf("127.0.0.1:%d", g.ports[0]))
	return g
}

// replaced is an edit of one rendered file.
func replaced(name, before, after string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		replace(t, filepath.Join(dir, name), before, after)
	}
}
