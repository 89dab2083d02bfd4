package outbound_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/bridge/internal/connect/outbound"
)

func TestCheck(t *testing.T) {
	far, near := parse(t, "https://mcp.example.com/mcp"), parse(t, "http://127.0.0.1:80/mcp")
	for raw, c := range map[string]struct{ byUser, byFar, byNear bool }{
		"https://as.example.com/x":  {true, true, true},
		"http://as.example.com/x":   {false, false, false},
		"http://localhost:1/x":      {true, false, true},
		"http://[::1]:1/":           {true, false, true},
		"https://127.0.0.1/":        {true, false, true},
		"http://127.0.0.1.evil.com": {false, false, false},
		"https://u:p@as.example/":   {false, false, false},
		"javascript:alert(1)":       {false, false, false},
		"file:///etc/passwd":        {false, false, false},
		"//as.example.com/":         {false, false, false},
		"":                          {false, false, false},
	} {
		for who, from := range map[string]*url.URL{"user": nil, "far": far, "near": near} {
			want := map[string]bool{"user": c.byUser, "far": c.byFar, "near": c.byNear}[who]
			if _, err := outbound.Check(raw, from); (err == nil) != want {
				t.Errorf("%q named by %s: %v", raw, who, err)
			}
		}
	}
}

func TestSameOrigin(t *testing.T) {
	for b, want := range map[string]bool{
		"https://A.example/x": true, "https://a.example:443": true, "http://a.example": false,
		"https://a.example:444": false, "https://b.a.example": false,
	} {
		if got := outbound.SameOrigin(parse(t, "https://a.example/mcp"), parse(t, b)); got != want {
			t.Errorf("%s: %v", b, got)
		}
	}
}

func TestTransport(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, empty + "-not-there"} {
		if _, err := outbound.Transport(file); err == nil {
			t.Errorf("%s was taken", file)
		}
	}
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
