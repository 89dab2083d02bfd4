//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/test/stack"
)

// A person on a machine without a browser signs in with another one (RFC 8628).
func TestDeviceGrant(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	res, body := post(t, gate.Issuer+"/protocol/openid-connect/auth/device", url.Values{
		"client_id": {"mcp-cli"}, "scope": {"openid"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}, "")
	var code struct {
		Device   string `json:"device_code"`
		Complete string `json:"verification_uri_complete"`
	}
	if err := json.Unmarshal([]byte(body), &code); err != nil || code.Device == "" {
		t.Fatalf("%s %s", res.Status, body)
	}
	grant := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"mcp-cli"},
		"device_code": {code.Device}, "code_verifier": {verifier},
	}
	if _, err := gate.Grant(t.Context(), gate.Issuer, grant); err == nil ||
		!strings.Contains(err.Error(), "authorization_pending") {
		t.Errorf("before the person agreed: %v", err)
	}
	agree(t, code.Complete, who)
	var tokens stack.Tokens
	eventually(t, 30*time.Second, "a token for the device", func() (ok bool) {
		var err error
		tokens, err = gate.Grant(t.Context(), gate.Issuer, grant)
		return err == nil
	})
	if text := call(t, open(t, tokens.Access), "whoami", nil); !strings.Contains(text, who.name) {
		t.Errorf("whoami = %s", text)
	}
}

var hiddenCode = regexp.MustCompile(`name="code" value="([^"]*)"`)

// agree goes through Keycloak's forms in a browser of its own.
func agree(t *testing.T, address string, who person) {
	t.Helper()
	c := client(map[string]string{"Accept": "text/html"})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Jar, c.CheckRedirect = jar, nil
	page, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	body := read(t, page)
	for range 5 {
		action := formAction.FindStringSubmatch(body)
		if action == nil {
			return
		}
		form := url.Values{"username": {who.name}, "password": {stack.Password(who.name)}}
		if strings.Contains(body, `name="accept"`) {
			form = url.Values{"accept": {"Yes"}}
		}
		to, err := page.Request.URL.Parse(html.UnescapeString(action[1]))
		if err != nil {
			t.Fatal(err)
		}
		if hidden := hiddenCode.FindStringSubmatch(body); hidden != nil {
			form.Set("code", html.UnescapeString(hidden[1]))
		}
		if page, err = c.PostForm(to.String(), form); err != nil {
			t.Fatal(err)
		}
		body = read(t, page)
	}
	if page.StatusCode != http.StatusOK {
		t.Fatalf("agreeing: %s at %s: %s", page.Status, page.Request.URL, body)
	}
}
