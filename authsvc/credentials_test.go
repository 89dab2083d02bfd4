package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/internal/contract"
)

const bridgeToken = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

// withCredentials is a gate whose users can have what the file says.
func withCredentials(t *testing.T, issuer *issuertest.Issuer, redisURL, file string) *gate {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tokens"), "bridge "+bridgeToken+" ask\n")
	write(t, filepath.Join(dir, "credentials.json"), file)
	return start(t, issuer, redisURL, func(c *config) {
		c.InternalTokenFile, c.Credentials = filepath.Join(dir, "tokens"), filepath.Join(dir, "credentials.json")
		c.Audit, c.AdminRole = filepath.Join(dir, "audit"), "mcp-user"
	}).ready()
}

// secretOf is the bridge's question; status 200 or not.
func (g *gate) secretOf(assertion, name, have string) (a contract.CredentialAnswer, status int) {
	g.t.Helper()
	body, _ := json.Marshal(contract.CredentialRequest{Assertion: assertion, Name: name, Server: "chat", Have: have})
	res := g.do(g.internal, http.MethodPost, contract.PathCredentials, string(body),
		"Authorization", "Bearer "+bridgeToken)
	if res.StatusCode != http.StatusOK {
		return a, res.StatusCode
	}
	a, err := contract.ReadCredentialAnswer(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return a, res.StatusCode
}

func (g *gate) assertion(cookie string) string {
	return g.wantVerdict("200", "Cookie", cookie).Header.Get(contract.HeaderAssertion)
}

func (g *gate) auditText() string {
	g.t.Helper()
	text, err := os.ReadFile(g.svc.cfg.Audit)
	if err != nil && !os.IsNotExist(err) {
		g.t.Fatal(err)
	}
	return string(text)
}

// dump is all that lies in a Redis.
func dump(t *testing.T, redisURL string) []byte {
	t.Helper()
	u, err := url.Parse(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-s", u.Path}
	if u.Scheme == "redis" {
		args = []string{"-p", u.Port()}
	}
	out, err := exec.Command("redis-cli", append(args, "--scan")...).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := out
	for _, key := range strings.Fields(string(out)) {
		value, err := exec.Command("redis-cli", append(args, "get", key)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, value...)
	}
	return all
}

const enteredFile = `{"credentials": [
	{"name": "slack", "kind": "entered", "label": "Slack", "help": "Settings, tokens."}
]}`

// A secret that a user enters once reaches the bridge that shows the user's
// assertion, is kept so that a dump opens nothing, and is gone when its user
// says so. Each step is a line of the audit.
func TestCredentialEntered(t *testing.T) {
	const secret = "xoxp-of-alice-alone"
	issuer := issuertest.Start(t)
	redis := redistest.Start(t)
	g := withCredentials(t, issuer, redis.URL, enteredFile)
	cookie := g.login(issuer)
	assertion := g.assertion(cookie)

	a, _ := g.secretOf(assertion, "slack", "")
	if a.Missing == nil || a.Missing.Connect != issuertest.Public+"/account/connect/slack" || a.Missing.Label != "Slack" {
		t.Fatalf("before it is connected: %+v", a.Missing)
	}
	res := g.do(g.public, http.MethodGet, "/account/connect/slack", "", "Cookie", cookie)
	if page, _ := io.ReadAll(res.Body); !strings.Contains(string(page), "Settings, tokens.") ||
		!strings.Contains(string(page), `type="password"`) {
		t.Errorf("the page of the form says %s", page)
	}
	res = g.do(g.public, http.MethodPost, "/account/connect/slack", "secret=planted", "Cookie", cookie,
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site answered %d", res.StatusCode)
	}
	res = g.send(cookie, "/account/connect/slack", url.Values{"secret": {"two\nlines"}})
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("two lines answered %d", res.StatusCode)
	}
	res = g.send(cookie, "/account/connect/slack", url.Values{"secret": {" " + secret + " "}})
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("entering it answered %d", res.StatusCode)
	}
	if a, status := g.secretOf(assertion, "slack", ""); a.Secret != secret || a.Expires != nil || !a.Watch {
		t.Fatalf("after it is connected: status %d, missing %+v", status, a.Missing)
	}
	lines := strings.Count(g.auditText(), "\n")
	if g.secretOf(assertion, "slack", contract.CredentialMark(secret)); strings.Count(g.auditText(), "\n") != lines {
		t.Error("a look that changed nothing is a line of the audit")
	}
	if found := dump(t, redis.URL); bytes.Contains(found, []byte(secret)) || len(found) < 100 {
		t.Errorf("a dump of %d bytes holds the secret, or nothing at all", len(found))
	}
	page := g.account(cookie, "")
	for _, want := range []string{
		"Disconnect Slack", "Who has connected what", "<strong>alice@example.com</strong>: slack",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the account page lacks %q", want)
		}
	}
	if strings.Contains(page+g.log.String()+g.auditText(), secret) {
		t.Error("the page, the log or the audit holds the secret")
	}
	if res := g.send(cookie, "/account/connect/slack/end", nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("disconnecting answered %d", res.StatusCode)
	}
	if a, _ := g.secretOf(assertion, "slack", contract.CredentialMark(secret)); a.Missing == nil {
		t.Error("it is issued after it was deleted")
	}
	for _, want := range []string{
		`"event":"credential refused"`, `"event":"credential connected"`, `"event":"credential issued"`,
		`"event":"credential deleted"`, `"credential":"slack"`, `"server":"chat"`, `"by":"bridge"`,
	} {
		if !strings.Contains(g.auditText(), want) {
			t.Errorf("the audit lacks %s:\n%s", want, g.auditText())
		}
	}
}

// Who has no right to a credential gets none: without the channel's token, with
// an assertion of nobody, after the end of the login, for a name that is none.
// While Redis is away nobody gets one.
func TestCredentialRefused(t *testing.T) {
	issuer := issuertest.Start(t)
	redis := redistest.Start(t)
	g := withCredentials(t, issuer, redis.URL, enteredFile)
	cookie := g.login(issuer)
	assertion := g.assertion(cookie)
	entered := g.send(cookie, "/account/connect/slack", url.Values{"secret": {"s3cret"}})
	if entered.StatusCode != http.StatusSeeOther {
		t.Fatalf("entering it answered %d", entered.StatusCode)
	}

	body, _ := json.Marshal(contract.CredentialRequest{Assertion: assertion, Name: "slack"})
	res := g.do(g.internal, http.MethodPost, contract.PathCredentials, string(body))
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token of the channel: %d", res.StatusCode)
	}
	if a, status := g.secretOf(assertion, "slack", ""); status != http.StatusOK || a.Secret != "s3cret" {
		t.Errorf("where all is as it should be: %d, missing %+v", status, a.Missing)
	}
	for name, c := range map[string]struct {
		assertion, credential string
		want                  int
	}{
		"no assertion":             {"", "slack", http.StatusForbidden},
		"an access token":          {issuer.Sign(issuer.Access()), "slack", http.StatusForbidden},
		"a changed assertion":      {assertion[:len(assertion)-4] + "AAAA", "slack", http.StatusForbidden},
		"a name that is none":      {assertion, "github", http.StatusNotFound},
		"a name that is a path":    {assertion, "../slack", http.StatusBadRequest},
		"another form of the name": {assertion, "Slack", http.StatusBadRequest},
	} {
		if _, status := g.secretOf(c.assertion, c.credential, ""); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	redis.Stop()
	if _, status := g.secretOf(assertion, "slack", ""); status != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %d", status)
	}
	redis.Start()
	eventually(t, "the store is back", func() bool { return g.svc.ping(context.Background()) == nil })
	cookie = g.login(issuer)
	assertion = g.assertion(cookie)
	g.do(g.public, http.MethodPost, "/logout", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	if _, status := g.secretOf(assertion, "slack", ""); status != http.StatusForbidden {
		t.Errorf("after the logout: %d", status)
	}
}

// A record that somebody moves to another user's name in Redis opens nothing.
func TestCredentialOfAnotherDoesNotOpen(t *testing.T) {
	issuer := issuertest.Start(t)
	g := withCredentials(t, issuer, redistest.Start(t).URL, enteredFile)
	cookie := g.login(issuer)
	g.send(cookie, "/account/connect/slack", url.Values{"secret": {"of alice"}})
	hand := func(subject string) string { return g.svc.credentials.Box.Name("credential", subject+"\x00slack") }
	values, err := g.svc.store.Get(t.Context(), hand(issuertest.Subject))
	if err != nil || values[0] == nil {
		t.Fatalf("alice's record is not where the test looks for it: %v", err)
	}
	if _, err := g.svc.store.Swap(t.Context(), hand("mallory"), nil, values[0], 1e12); err != nil {
		t.Fatal(err)
	}
	issuer.Hand(issuer.Access().With(issuertest.Claims{"sub": "mallory", "sid": "hers"}))
	token := issuer.Sign(issuer.Access().With(issuertest.Claims{"sub": "mallory", "sid": "hers"}))
	hers := g.wantVerdict("200", "Authorization", "Bearer "+token).Header.Get(contract.HeaderAssertion)
	if a, status := g.secretOf(hers, "slack", ""); a.Missing == nil {
		t.Errorf("mallory got a secret, status %d", status)
	}
}

// A file of credentials needs a channel that knows who asks.
func TestCredentialsNeedAChannel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.json")
	write(t, file, enteredFile)
	_, _, err := parse([]string{
		"--public-url=https://gate.example.com", "--issuer=https://sso.example.com", "--client-id=c",
		"--client-secret=s", "--allow-any-user", "--credentials=" + file,
	}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "--internal-token-file") {
		t.Errorf("it starts: %v", err)
	}
}
