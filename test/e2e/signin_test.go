//go:build e2e

package e2e

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/test/stack"
)

var formAction = regexp.MustCompile(`action="([^"]+)"`)

// signIn goes the browser's way without a browser: login, Keycloak's form,
// callback. The client that returns holds the session's cookie.
func signIn(t *testing.T, user string) *http.Client {
	t.Helper()
	c := client(map[string]string{"Accept": "text/html"})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Jar, c.CheckRedirect = jar, nil
	page, err := c.Get(gate.URL + "/login?return_to=/account")
	if err != nil {
		t.Fatal(err)
	}
	body := read(t, page)
	for end := time.Now().Add(stack.LoginLimit); !strings.HasPrefix(page.Request.URL.String(),
		gate.URL+"/account"); <-time.After(100 * time.Millisecond) {
		action := formAction.FindStringSubmatch(body)
		if action == nil || time.Now().After(end) {
			t.Fatalf("sign in as %s: %s at %s: %s", user, page.Status, page.Request.URL, body)
		}
		page, err = c.PostForm(
			html.UnescapeString(action[1]),
			url.Values{"username": {user}, "password": {stack.Password(user)}},
		)
		if err != nil {
			t.Fatal(err)
		}
		body = read(t, page)
	}
	if page.StatusCode != http.StatusOK {
		t.Fatalf("signed in as %s: %s at %s: %s", user, page.Status, page.Request.URL, body)
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// sessionCookie is what the browser of a person who signed in sends.
func sessionCookie(t *testing.T, c *http.Client) string {
	t.Helper()
	at, err := url.Parse(gate.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range c.Jar.Cookies(at) {
		if cookie.Name == "__Host-gatehouse" {
			return cookie.Name + "=" + cookie.Value
		}
	}
	t.Fatal("no session cookie")
	return ""
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// admitted says whether the gate let the request through to the bridge, which
// answers a GET of /mcp without a session with a 400.
func admitted(res *http.Response) bool { return res.StatusCode == http.StatusBadRequest }

func TestLoginGoesToKeycloak(t *testing.T) {
	res, _ := get(t, gate.URL+"/sse?a=b", map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
	if res.StatusCode != http.StatusFound || res.Header.Get("Location") != "/login?return_to=/sse?a=b" {
		t.Errorf("%s to %q", res.Status, res.Header.Get("Location"))
	}
	headersOnce(t, res)
	res, _ = get(t, gate.URL+"/login?return_to=/account", nil)
	if res.StatusCode != http.StatusFound || !strings.HasPrefix(res.Header.Get("Location"), gate.Issuer) ||
		!strings.Contains(res.Header.Get("Location"), "code_challenge_method=S256") {
		t.Errorf("login: %s to %q", res.Status, res.Header.Get("Location"))
	}
	headersOnce(t, res)
}
