package signin_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/bridge/internal/connect/signin"
)

func TestLogout(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	u := w.user(dir, nil)
	if _, err := u.use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	if err := w.user(dir, nil).Logout(limited(t)); err != nil {
		t.Fatal(err)
	}
	if w.times("revoke refresh_token") != 1 || w.times("revoke access_token") != 1 {
		t.Errorf("revoked %v", w.count)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.json")); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
	if err := w.user(dir, nil).Logout(limited(t)); !errors.Is(err, signin.ErrSignedOut) {
		t.Errorf("once more: %v", err)
	}
}

const registrationToken = "token of the registration"

// deregister is the place of the registration (RFC 7592, section 2.3).
func (w *world) deregister(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodDelete || r.Header.Get("Authorization") != "Bearer "+registrationToken {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	if w.times("revoke refresh_token") == 0 {
		w.t.Error("the client was deleted before its tokens were revoked")
	}
	w.note("delete")
	rw.WriteHeader(http.StatusNoContent)
}

// TestLogoutDeletesTheRegistration: where the authorization server said how,
// with the token that it gave for that, and nowhere else. What fails is said,
// and all is forgotten.
func TestLogoutDeletesTheRegistration(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another origin was asked: %s %s, %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	for name, c := range map[string]struct {
		place   string // of the registration; from the issuer's origin where it begins with a slash
		token   string
		deleted int
		says    string
	}{
		"deleted":               {"/clients/registered", registrationToken, 1, ""},
		"no place":              {"", "", 0, ""},
		"no token":              {"/clients/registered", "", 0, "no token came with it"},
		"another token":         {"/clients/registered", "another", 0, "answered 401"},
		"a place that is gone":  {"/clients/unknown", registrationToken, 0, "answered 404"},
		"it redirects":          {"/elsewhere", registrationToken, 0, "redirects"},
		"another origin":        {elsewhere.URL + "/clients/registered", registrationToken, 0, "not where it was registered"},
		"another host, no TLS":  {"http://attacker.example/c", registrationToken, 0, "not where it was registered"},
		"what is no URL at all": {"::", registrationToken, 0, "not where it was registered"},
	} {
		t.Run(name, func(t *testing.T) {
			w, dir := newWorld(t), t.TempDir()
			w.elsewhere = elsewhere.URL
			place := c.place
			if strings.HasPrefix(place, "/") {
				place = w.issuer.URL + place
			}
			w.change = func(name string, doc map[string]any) {
				if name == "registration" {
					doc["registration_client_uri"], doc["registration_access_token"] = place, c.token
				}
			}
			if _, err := w.user(dir, nil).use(limited(t), ""); err != nil {
				t.Fatal(err)
			}
			err := w.user(dir, nil).Logout(limited(t))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("logout: %v, want %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), registrationToken) {
				t.Errorf("it tells the token: %v", err)
			}
			if got := w.times("delete"); got != c.deleted || w.times("revoke access_token") != 1 {
				t.Errorf("deleted %d, want %d; revoked %d", got, c.deleted, w.times("revoke access_token"))
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*.json")); len(files) > 0 {
				t.Errorf("left: %v", files)
			}
		})
	}
}
