//go:build compose

package compose

import (
	"context"
	"crypto/tls"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// An address of this machine that is not its loopback: the bridge of engine.sh.
const network = "10.213.0.1"

// A gate that ran on loopback is published by the lines of the page: its start refuses
// until alice and bob are out, and then the first user comes by a line.
func TestPublishTheGate(t *testing.T) {
	t.Setenv("COMPOSE_PROJECT_NAME", "gatehouse-published")
	t.Setenv("HTTPS_PORT", fmt.Sprint(freeport.Port(t)))
	t.Setenv("HTTP_PORT", fmt.Sprint(freeport.Port(t)))
	defer compose(t, "down", "--volumes")
	_, page, _ := strings.Cut(read(t, "docs/compose.md"), "## Publish it\n")
	page, _, _ = strings.Cut(page, "\n## ")
	blocks := strings.Split(page, "```\n") // what is in .env, the first user, without the samples
	if len(blocks) != 7 {
		t.Fatalf("docs/compose.md has %d pieces on how to publish the gate, want 7", len(blocks))
	}
	shell(t, "docker compose up --detach --wait keycloak")
	t.Run("published", func(t *testing.T) {
		t.Setenv("BIND", network)
		up := exec.CommandContext(t.Context(), os.Getenv("GATEHOUSE_PARTS"), "up", "--detach", "--wait")
		if out, err := up.CombinedOutput(); err == nil {
			t.Fatalf("a gate with alice and bob is published:\n%s", out)
		}
		if said := shell(t, "docker compose logs init"); !strings.Contains(said, "down --volumes") {
			t.Errorf("init does not say what to do:\n%s", said)
		}
	})
	shell(t, "docker compose up --detach --wait keycloak\n"+blocks[5])
	t.Run("without the samples", func(t *testing.T) {
		t.Setenv("BIND", network)
		shell(t, "docker compose up --detach --wait")
		said := shell(t, blocks[3])
		_, password, _ := strings.Cut(said, "carol signs in with ")
		password, _, _ = strings.Cut(password, ",")
		published(t, password)
	})
}

// published looks at the gate from the network: carol is known, alice is not.
func published(t *testing.T, password string) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	port := os.Getenv("HTTPS_PORT")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the gate has its own authority
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(network, port))
	}
	web, gate := &http.Client{Transport: transport, Jar: jar}, "https://localhost:"+port
	ask := func(method, path string, form url.Values) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return send(t, web, req)
	}
	if res, _ := ask(http.MethodGet, gate+"/auth/admin/", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("Keycloak's console: %s", res.Status)
	}
	res, body := ask(http.MethodPost, gate+"/auth/realms/gatehouse/protocol/openid-connect/token", url.Values{
		"grant_type": {"password"}, "client_id": {"mcp-cli"},
		"username": {stack.Alice}, "password": {stack.Password(stack.Alice)},
	})
	if res.StatusCode/100 != 4 || !strings.Contains(body, "unauthorized_client") {
		t.Errorf("the grant by password: %s %s", res.Status, body)
	}
	for _, c := range []struct{ user, password, shows string }{
		{"bob", stack.Password("bob"), "Invalid username or password"},
		{"carol", password, `name="password-new"`},
	} {
		_, body := ask(http.MethodGet, gate+"/login?return_to=/account", nil)
		action := formAction.FindStringSubmatch(body)
		if action == nil {
			t.Fatalf("no form to sign in:\n%s", body)
		}
		res, body := ask(http.MethodPost, html.UnescapeString(action[1]),
			url.Values{"username": {c.user}, "password": {c.password}})
		if !strings.Contains(body, c.shows) {
			t.Errorf("%s signs in: %s, want %q:\n%s", c.user, res.Status, c.shows, body)
		}
	}
}
