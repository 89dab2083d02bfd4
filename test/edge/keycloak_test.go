package edge

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// Anybody may register a client at Keycloak behind /auth/: from one address few
// at once, whatever the path looks like to nginx and to Keycloak.
func TestRegistrationsAreLimitedByAddress(t *testing.T) {
	g := start(t, options{edit: func(t *testing.T, dir string) {
		values, err := os.ReadFile(filepath.Join(dir, "site", "upstreams.conf"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "site", "server"), 0o700); err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string]string{
			"site/server/keycloak.conf": "include gatehouse/server/keycloak.conf;\n",
			"site/upstreams.conf":       string(values) + "map \"\" $gatehouse_keycloak { default gatehouse_bridge; }\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}})
	const realm = "/auth/realms/gatehouse/"
	served := 0
	for range 60 {
		res, _ := g.do(t, "POST", realm+"clients-registrations/openid-connect", "{}", "Content-Type", "application/json")
		switch res.StatusCode {
		case http.StatusOK:
			served++
		case http.StatusTooManyRequests:
		default:
			t.Fatal(res.Status)
		}
	}
	if served < 20 || served > 45 {
		t.Errorf("%d of 60 registrations of one address at once were passed on", served)
	}
	if res, _ := g.do(t, "POST", realm+"clients-registrations;x=1/openid-connect", "{}"); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the same with a path parameter: %s", res.Status)
	}
	if res, _ := g.do(t, "GET", realm+"protocol/openid-connect/auth", ""); res.StatusCode != http.StatusOK {
		t.Errorf("signing in: %s", res.Status)
	}
}
