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
	g := keycloakBehind(t, "")
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
	if res, _ := g.do(t, "POST", realm+"clients-registrations;x=1/openid-connect",
		"{}"); res.StatusCode != http.StatusNotFound {
		t.Errorf("the same with a path parameter: %s", res.Status)
	}
	if res, _ := g.do(t, "GET", realm+"protocol/openid-connect/auth", ""); res.StatusCode != http.StatusOK {
		t.Errorf("signing in: %s", res.Status)
	}
}

// keycloakBehind is a gate with its own bridge in Keycloak's place, and before
// lines in front of the include.
func keycloakBehind(t *testing.T, before string) *gate {
	t.Helper()
	return start(t, options{edit: func(t *testing.T, dir string) { servesKeycloak(t, dir, before) }})
}

// servesKeycloak lays the files by which a gate serves Keycloak.
func servesKeycloak(t *testing.T, dir, before string) {
	t.Helper()
	values, err := os.ReadFile(filepath.Join(dir, "site", "upstreams.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "site", "server"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "site", "server", "keycloak.conf"), before+"include gatehouse/server/keycloak.conf;\n")
	write(
		t,
		filepath.Join(dir, "site", "upstreams.conf"),
		string(values)+"map \"\" $gatehouse_keycloak { default gatehouse_bridge; }\n",
	)
}

// Behind the gate Keycloak shows a realm and what its pages load, and nothing
// that administers it, however the path is written.
func TestKeycloaksAdministrationStaysInside(t *testing.T) {
	g := keycloakBehind(t, "")
	for path, want := range map[string]int{
		"/auth/realms/gatehouse/protocol/openid-connect/auth":     http.StatusOK,
		"/auth/realms/gatehouse/login-actions/authenticate":       http.StatusOK,
		"/auth/realms/gatehouse/.well-known/openid-configuration": http.StatusOK,
		"/auth/resources/abc/login/keycloak.v2/css/styles.css":    http.StatusOK,
		// A whole client of Keycloak's own would say what stands in its tokens.
		"/auth/realms/gatehouse/clients-registrations/default":                   http.StatusNotFound,
		"/auth/realms/gatehouse/clients-registrations//default":                  http.StatusNotFound,
		"/auth/realms/gatehouse/clients-registrations/%64efault":                 http.StatusNotFound,
		"/auth/realms/gatehouse/clients-registrations%2Fdefault":                 http.StatusNotFound,
		"/auth/realms/gatehouse/clients-registrations/default/x":                 http.StatusNotFound,
		"/auth/realms/gatehouse/clients-registrations/openid-connect/../default": http.StatusNotFound,
		"/auth/realms/gatehouse/clients-registrations/openid-connect/x":          http.StatusOK,
		"/auth/realms/master-of-none/account/":                                   http.StatusOK,
		"/auth/realms/gatehouse":                                                 http.StatusOK,
		"/auth/":                                                                 http.StatusNotFound,
		"/auth/admin/":                                                           http.StatusNotFound,
		"/auth/admin/master/console/":                                            http.StatusNotFound,
		"/auth/admin/realms/gatehouse/users":                                     http.StatusNotFound,
		"/auth/realms/master":                                                    http.StatusNotFound,
		"/auth/realms/master/protocol/openid-connect/token":                      http.StatusNotFound,
		"/auth/realms/master/clients-registrations/openid-connect":               http.StatusNotFound,
		"/auth/realms/MASTER/protocol/openid-connect/token":                      http.StatusNotFound,
		"/auth/realms/%6daster/protocol/openid-connect/token":                    http.StatusNotFound,
		"/auth/realms/master;x/protocol/openid-connect/token":                    http.StatusNotFound,
		"/auth/realms/gatehouse/../master/protocol/openid-connect/token":         http.StatusNotFound,
		"/auth/realms/gatehouse/..;/..;/admin/":                                  http.StatusNotFound,
		"/auth/realms/gatehouse%2f..%2f..%2fadmin/":                              http.StatusNotFound,
		"/auth/realms//master/protocol/openid-connect/token":                     http.StatusNotFound,
		"/auth/;x/admin/":                                                        http.StatusNotFound,
		"/auth/metrics":                                                          http.StatusNotFound,
	} {
		if res, _ := g.do(t, "GET", path, ""); res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	all := keycloakBehind(t, "set $gatehouse_keycloak_all all;\n")
	for _, path := range []string{"/auth/admin/", "/auth/realms/master/protocol/openid-connect/token"} {
		if res, _ := all.do(t, "GET", path, ""); res.StatusCode != http.StatusOK {
			t.Errorf("published as well: %s: %s", path, res.Status)
		}
	}
}
