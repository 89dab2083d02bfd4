//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/test/stack"
)

// TestAdministratorEndsAnothersSession: bob, who is an mcp-admin at Keycloak,
// sees alice's session on his page and ends it; she sees none but her own.
func TestAdministratorEndsAnothersSession(t *testing.T) {
	alice, bob := signIn(t, stack.Alice), signIn(t, stack.Bob)
	if _, page := send(t, alice, http.MethodGet, gate.URL+"/account"); strings.Contains(page, "All live sessions") ||
		strings.Contains(page, "bob@example.com") {
		t.Error("alice sees the sessions of others")
	}
	if res, _ := send(t, alice, http.MethodGet, gate.URL+"/mcp"); !admitted(res) {
		t.Fatalf("alice: %s", res.Status)
	}
	_, page := send(t, bob, http.MethodGet, gate.URL+"/account")
	// Further sessions of alice may be left over from other tests: end them all.
	person := regexp.MustCompile(`(?s)<h3>alice@example\.com</h3>.*?name="sub" value="([^"]+)"`).FindStringSubmatch(page)
	if person == nil {
		t.Fatalf("bob does not see alice: %s", page)
	}
	forms := regexp.MustCompile(`name="sub" value="(`+regexp.QuoteMeta(person[1])+`)"><input type="hidden" name="sid" `+
		`value="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(forms) == 0 {
		t.Fatalf("bob does not see alice's session: %s", page)
	}
	for _, form := range forms {
		res, err := bob.PostForm(gate.URL+"/account/everyone/end", url.Values{"sub": {form[1]}, "sid": {form[2]}})
		if err != nil {
			t.Fatal(err)
		}
		if body := read(t, res); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s %s", res.Status, body)
		}
	}
	took := eventually(t, crowded*streamPromise, "alice's session ended", func() bool {
		res, _ := send(t, alice, http.MethodGet, gate.URL+"/mcp")
		return !admitted(res)
	})
	t.Logf("ended within %s", took)
	if res, _ := send(t, bob, http.MethodGet, gate.URL+"/mcp"); !admitted(res) {
		t.Errorf("bob: %s", res.Status)
	}
}
