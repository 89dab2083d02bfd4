//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The client's secret is rotated as production.md says: Keycloak takes the old
// one beside the new one until it is withdrawn, and authsvc runs on.
func TestNativeClientSecretRotation(t *testing.T) {
	file := filepath.Join(gate.Dir, "client-secret")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { writeSecret(t, file, string(old)) }) // as changed puts the client back
	changed(t, "mcp-gateway", map[string]string{"access.token.lifespan": shortTokens})
	rotatesSecrets(t)
	refreshes := countRefreshes(t)
	secret := "/clients/" + idOf(t, "/clients?clientId=mcp-gateway") + "/client-secret"
	who := newPerson(t)
	cookie := sessionCookie(t, signIn(t, who.name))
	before := refreshes(who.id)

	var next struct{ Value string }
	admin(t, http.MethodPost, secret, map[string]any{}, &next)
	if next.Value == "" || next.Value == string(old) {
		t.Fatalf("Keycloak made no new secret")
	}
	signIn(t, who.name) // with the old one
	writeSecret(t, file, next.Value)
	admin(t, http.MethodDelete, secret+"/rotated", nil, nil)
	signIn(t, who.name) // with the new one
	eventually(t, 30*time.Second, "a refresh with the new secret", func() bool {
		if got := verdict(t, cookie); got != http.StatusOK {
			t.Fatalf("a session from before the rotation: %d", got)
		}
		return refreshes(who.id) > before
	})
}

// verdict asks authsvc itself, where no limit of nginx counts.
func verdict(t *testing.T, cookie string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(
		t.Context(),
		http.MethodGet,
		fmt.Sprintf("http://127.0.0.1:%d/auth", gate.Ports.Authsvc),
		nil,
	)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func writeSecret(t *testing.T, file, secret string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Error(err)
	}
}

// rotatesSecrets lets the realm keep a client's old secret for ten minutes.
func rotatesSecrets(t *testing.T) {
	t.Helper()
	const profiles, policies = "/client-policies/profiles", "/client-policies/policies"
	t.Cleanup(func() {
		admin(t, http.MethodPut, policies, map[string]any{"policies": []any{}}, nil)
		admin(t, http.MethodPut, profiles, map[string]any{"profiles": []any{}}, nil)
	})
	admin(t, http.MethodPut, profiles, map[string]any{"profiles": []map[string]any{{
		"name": "rotate", "executors": []map[string]any{{"executor": "secret-rotation", "configuration": map[string]int{
			"expiration-period": 86400, "rotated-expiration-period": 600, "remaining-rotation-period": 600,
		}}},
	}}}, nil)
	admin(t, http.MethodPut, policies, map[string]any{"policies": []map[string]any{{
		"name": "rotate", "enabled": true, "profiles": []string{"rotate"},
		"conditions": []map[string]any{
			{"condition": "client-access-type", "configuration": map[string][]string{"type": {"confidential"}}},
		},
	}}}, nil)
}

// countRefreshes lets Keycloak note renewals, and counts those of a person.
func countRefreshes(t *testing.T) func(person string) int {
	t.Helper()
	notedEvents(t, "REFRESH_TOKEN")
	return func(person string) int {
		var events []struct{ Type string }
		admin(t, http.MethodGet, "/events?user="+person, nil, &events)
		return len(events)
	}
}
