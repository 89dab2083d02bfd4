//go:build production

package production

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	gateURL  = "https://" + name
	realm    = gateURL + "/auth/realms/gatehouse"
	password = "alice's own Password 1"
)

// browser is a headless Chromium that finds every name on the loopback. It takes
// any certificate: the test's other clients verify it.
func browser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox,
		chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("host-resolver-rules", "MAP *.example.com 127.0.0.1"))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // started by a step it would end with that step's time
		t.Fatal(err)
	}
	return ctx
}

func do(t *testing.T, ctx context.Context, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := chromedp.Do(limited, steps...); err != nil {
		at, _ := chromedp.Run(ctx, chromedp.Location())
		text, _ := chromedp.Run(ctx, chromedp.Text("body"))
		t.Fatalf("%s: %v, at %s:\n%s", what, err, at, text)
	}
}

// signIn is a colleague's first: the password of the page, then one of their own.
func signIn(t *testing.T, ctx context.Context, first string) {
	t.Helper()
	do(t, ctx, "sign in",
		chromedp.Navigate(gateURL+"/account"),
		chromedp.WaitVisible("#username"), chromedp.SendKeys("#username", "alice"),
		chromedp.SendKeys("#password", first), chromedp.Click("#kc-login"),
		chromedp.WaitVisible("#password-new"), chromedp.SendKeys("#password-new", password),
		chromedp.SendKeys("#password-confirm", password), chromedp.Click(`form#kc-passwd-update-form [type="submit"]`),
		chromedp.WaitVisible(`form[action="/logout"] button`))
	page, err := chromedp.Run(ctx, chromedp.Text("body"))
	if err != nil || !strings.Contains(page, "alice@example.com") {
		t.Fatalf("%v, the page shows:\n%s", err, page)
	}
}

// token is what a program of the colleague's gets: the browser, which is signed
// in, comes back with a code (RFC 8252), and the code is worth a token.
func token(t *testing.T, ctx context.Context, web *http.Client) string {
	t.Helper()
	verifier := rand.Text() + rand.Text() // RFC 7636, 4.1: at least 43
	challenge := sha256.Sum256([]byte(verifier))
	const back = "http://127.0.0.1/callback"
	do(t, ctx, "a program's sign-in", chromedp.Navigate(realm+"/protocol/openid-connect/auth?"+url.Values{
		"client_id": {"mcp-cli"}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {back},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()))
	var code string
	until(t, "the browser comes back with a code", func() bool {
		at, err := chromedp.Run(ctx, chromedp.Location())
		u, bad := url.Parse(at)
		if err != nil || bad != nil {
			return false
		}
		code = u.Query().Get("code")
		return code != ""
	})
	res, err := web.PostForm(realm+"/protocol/openid-connect/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"mcp-cli"}, "code": {code},
		"redirect_uri": {back}, "code_verifier": {verifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Access == "" {
		t.Fatalf("token: %s, %v", res.Status, err)
	}
	return answer.Access
}

type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// session opens one with the server at a path of the gate.
func session(ctx context.Context, web *http.Client, token, path string) (*mcp.ClientSession, error) {
	return sessionOf(ctx, web, token, path, nil)
}

// elder is of a version with sessions: each has a child of its own.
var elder = &mcp.ClientSessionOptions{ProtocolVersion: "2025-06-18"}

func sessionOf(
	ctx context.Context,
	web *http.Client,
	token, path string,
	options *mcp.ClientSessionOptions,
) (*mcp.ClientSession, error) {
	signed := *web
	signed.Transport = bearer{token, web.Transport}
	c := mcp.NewClient(&mcp.Implementation{Name: "colleague", Version: "1"}, nil)
	return c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: gateURL + path, HTTPClient: &signed}, options)
}

// call opens a session, calls a tool of the demo server and returns its text.
func call(ctx context.Context, web *http.Client, token, path, tool string, args map[string]any) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s, err := session(ctx, web, token, path)
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close() }()
	return callIn(ctx, s, tool, args)
}

func callIn(ctx context.Context, s *mcp.ClientSession, tool string, args map[string]any) (string, error) {
	if args == nil {
		args = map[string]any{}
	}
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return "", err
	}
	text, ok := res.Content[0].(*mcp.TextContent)
	if !ok || res.IsError {
		return "", fmt.Errorf("%s answered %+v", tool, res)
	}
	return text.Text, nil
}

// sum is the call that must go through: 2 and 3 are 5.
func sum(t *testing.T, web *http.Client, token, path string) {
	t.Helper()
	if got, err := call(t.Context(), web, token, path, "add", map[string]any{"a": 2, "b": 3}); err != nil || got != "5" {
		t.Fatalf("%s: %q, %v", path, got, err)
	}
}
