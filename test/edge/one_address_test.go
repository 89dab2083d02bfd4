package edge

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// crowd is a gate with the limits as they are shipped, behind an address that
// stands for many, with Keycloak at /auth/. No rate gives a call back while the
// test lasts: how many pass is the burst.
func crowd(t *testing.T, edits ...string) *gate {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "nginx", "site", "limits.conf"))
	if err != nil {
		t.Fatal(err)
	}
	edits = append(edits, "rate=200r/s", "rate=1r/m", "rate=100r/s", "rate=1r/m")
	return start(t, options{
		limits: strings.NewReplacer(edits...).Replace(string(text)),
		auth:   refuse(http.StatusUnauthorized),
		edit: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "site", "one_address.conf"), "127.0.0.1 1;\n")
			servesKeycloak(t, dir, "")
		},
	})
}

// Before the sign-in nobody knows whether a credential is one: whoever makes up
// another in each request meets the limits of the address all the same.
func TestAFreshCredentialIsNoWayRoundTheLimits(t *testing.T) {
	t.Parallel()
	g := crowd(t)
	for _, c := range []struct {
		method, path string
		pass, want   int
	}{
		{"POST", "/mcp", 401, http.StatusUnauthorized},
		{"GET", "/auth/realms/gatehouse/protocol/openid-connect/auth", 201, http.StatusOK},
		{"POST", "/auth/realms/gatehouse/clients-registrations/openid-connect", 41, http.StatusOK},
	} {
		for _, header := range []string{"Cookie", "Authorization"} {
			passed := 0
			for i := range c.pass + 20 { // a slow machine is given some back meanwhile
				res, _ := g.do(t, c.method, c.path, "{}", header, fmt.Sprintf("Bearer made-up=%s-%d", t.Name(), i))
				if res.StatusCode == http.StatusTooManyRequests {
					break
				}
				if res.StatusCode != c.want {
					t.Fatalf("%s: %s, want %d or a refusal", c.path, res.Status, c.want)
				}
				passed++
			}
			least := c.pass
			if header == "Authorization" { // the cookies have taken all of it
				least = 0
			}
			if passed < least || passed > least+15 {
				t.Errorf("%s with another %s each time: %d passed, want about %d", c.path, header, passed, least)
			}
		}
	}
	if res, _ := g.do(t, "GET", "/health", ""); res.StatusCode == http.StatusTooManyRequests {
		t.Error("/health is limited with the rest")
	}
}

// And each further refusal is held back, though each has another credential.
func TestAFreshCredentialIsNoWayRoundTheWait(t *testing.T) {
	t.Parallel()
	const hold = time.Second
	g := crowd(t, " burst=400", "", "refusal_wait = 0.5", "refusal_wait = 1")
	held := 0
	for i := range 40 { // a slow machine may let ten seconds pass in between
		begun := time.Now()
		res, _ := g.do(t, "POST", "/mcp", "{}", "Cookie", fmt.Sprintf("made-up=%d", i))
		if i > 0 && res.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("call %d: %s", i+1, res.Status)
		}
		if time.Since(begun) >= hold {
			held++
		}
		if held == 2 {
			return
		}
	}
	t.Errorf("%d of 40 refusals waited", held)
}
