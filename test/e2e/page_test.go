//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

// TestAnEndpointInABrowserIsThePage: whoever opens /mcp in a browser is shown,
// after the sign-in, what the bridge has for them and how to connect to it.
func TestAnEndpointInABrowserIsThePage(t *testing.T) {
	alice := signIn(t, stack.Alice)
	alice.CheckRedirect = nil // as a browser
	for language, want := range map[string]string{"en": "Who you are", "ko": "내 정보"} {
		wants := []string{
			want, "alice@example.com", "<li>whoami</li>", "/account/ca.crt",
			"claude mcp add --transport http gatehouse " + gate.URL + "/mcp",
		}
		// A bridge names the tools that it has listed itself. Which bridge the
		// page asks, and which lists them here, is chance where there are two.
		lacks := errors.New("not asked")
		for range 20 {
			listTools(t)
			if lacks = page(t, alice, language, wants); lacks == nil {
				break
			}
		}
		if lacks != nil {
			t.Errorf("the page in %s: %v", language, lacks)
		}
	}
}

func listTools(t *testing.T) {
	t.Helper()
	session := connect(t, &mcp.StreamableClientTransport{
		Endpoint: gate.URL + "/mcp", HTTPClient: client(bearer(token(t, stack.Alice))),
	}, nil)
	if _, err := session.ListTools(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// page opens /mcp as a browser does and tells what the page there lacks.
func page(t *testing.T, browser *http.Client, language string, wants []string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gate.URL+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Accept-Language", language)
	res, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, res)
	if res.StatusCode != http.StatusOK || res.Request.URL.String() != gate.URL+"/" {
		return fmt.Errorf("%s at %s: %s", res.Status, res.Request.URL, text)
	}
	for _, want := range wants {
		if !strings.Contains(text, want) {
			return fmt.Errorf("it lacks %q", want)
		}
	}
	return nil
}
