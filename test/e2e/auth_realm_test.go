//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/test/stack"
)

// A client that knows nothing but the metadata asks for every scope that they
// list, and one that registered with a scope may ask for no other.
func TestAdvertisedScopes(t *testing.T) {
	t.Parallel()
	var m struct {
		Scopes []string `json:"scopes_supported"`
	}
	res, body := send(t, client(nil), http.MethodGet, gate.Issuer+"/.well-known/openid-configuration")
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(res.Status, err)
	}
	for _, scope := range []string{"openid", "mcp.access"} {
		if !slices.Contains(m.Scopes, scope) {
			t.Errorf("the metadata do not list %s: %v", scope, m.Scopes)
		}
	}
	for _, scope := range []string{"offline_access", "acr", "basic", "roles", "web-origins", "email", "profile"} {
		if slices.Contains(m.Scopes, scope) {
			t.Errorf("the metadata list %s, which a client that registered with mcp.access may not have", scope)
		}
	}
}

// Some programs count a token as lapsed five minutes before its end, and their
// processes renew it at the same moment with one refresh token: none of them
// may be signed out by another.
func TestParallelRefresh(t *testing.T) {
	t.Parallel()
	who := newPerson(t)
	cli := registered(t, who.name, "mcp.access")
	// Keycloak counts from the sign-in, which is some seconds old by then.
	if cli.tokens.Life < 590 {
		t.Errorf("an access token lives for %d s, want about 600 at least", cli.tokens.Life)
	}
	var wg sync.WaitGroup
	const callers = 9
	got := make(chan stack.Tokens, callers)
	for range callers {
		wg.Go(func() {
			one, err := cli.refresh(t.Context(), cli.tokens.Refresh)
			if err != nil {
				t.Errorf("one of %d callers with one refresh token: %v", callers, err)
			}
			got <- one
		})
	}
	wg.Wait()
	close(got)
	var last stack.Tokens // what the file holds that they share
	for one := range got {
		last = one
	}
	if next, err := cli.refresh(t.Context(), last.Refresh); err != nil || next.Access == "" {
		t.Errorf("the token that came of it: %v", err)
	}
}

// ownClient is a client that registered itself.
type ownClient struct {
	id     string
	tokens stack.Tokens
}

// registered goes the way of an MCP client: it registers, the user signs in and
// consents, and the code is traded for tokens.
func registered(t *testing.T, user, scope string) ownClient {
	t.Helper()
	const back = "http://127.0.0.1:54545/callback"
	id := makeClient(t, map[string]any{
		"client_name": "Field test of " + user, "redirect_uris": []string{back}, "scope": scope,
		"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"},
	})
	verifier := oauth2.GenerateVerifier()
	q := url.Values{
		"client_id": {id}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {scope}, "state": {"s"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}
	code := consent(t, gate.Issuer+"/protocol/openid-connect/auth?"+q.Encode(), user)
	c := ownClient{id: id}
	var err error
	c.tokens, err = c.grant(t.Context(), url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {back}, "code_verifier": {verifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// makeClient registers a client that goes with the test.
func makeClient(t *testing.T, metadata map[string]any) string {
	t.Helper()
	text, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client(map[string]string{"Content-Type": "application/json"}).Post(
		gate.Issuer+"/clients-registrations/openid-connect", "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	body := read(t, res)
	var made struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal([]byte(body), &made); err != nil || made.ID == "" {
		t.Fatalf("registration: %s: %s", res.Status, body)
	}
	internal := idOf(t, "/clients?clientId="+made.ID)
	t.Cleanup(func() { _ = gate.Admin(context.Background(), http.MethodDelete, "/clients/"+internal, nil, nil) })
	return made.ID
}

// consent is the person in front of the browser: name and password, then yes.
func consent(t *testing.T, address, user string) (code string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := client(map[string]string{"Accept": "text/html"})
	c.Jar = jar
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Query().Get("code") != "" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * stack.LoginLimit); ; <-time.After(100 * time.Millisecond) {
		if to, err := page.Location(); err == nil && to.Query().Get("code") != "" {
			_ = page.Body.Close()
			return to.Query().Get("code")
		}
		body := read(t, page)
		action := formAction.FindStringSubmatch(body)
		if action == nil || time.Now().After(end) {
			t.Fatalf("consent of %s: %s at %s: %s", user, page.Status, page.Request.URL, body)
		}
		form := url.Values{"username": {user}, "password": {stack.Password(user)}}
		if !strings.Contains(body, `name="password"`) {
			form = url.Values{"accept": {"Yes"}}
		}
		where, err := page.Request.URL.Parse(html.UnescapeString(action[1]))
		if err != nil {
			t.Fatal(err)
		}
		if page, err = c.PostForm(where.String(), form); err != nil {
			t.Fatal(err)
		}
	}
}

func (c ownClient) refresh(ctx context.Context, token string) (stack.Tokens, error) {
	return c.grant(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (c ownClient) grant(ctx context.Context, form url.Values) (stack.Tokens, error) {
	form.Set("client_id", c.id)
	return gate.Grant(ctx, gate.Issuer, form)
}
