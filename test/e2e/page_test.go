//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

// TestAnEndpointInABrowserIsThePage: whoever opens /mcp in a browser is shown,
// after the sign-in, what the bridge has for them and how to connect to it.
func TestAnEndpointInABrowserIsThePage(t *testing.T) {
	session := connect(t, &mcp.StreamableClientTransport{
		Endpoint: gate.URL + "/mcp", HTTPClient: client(bearer(token(t, stack.Alice))),
	}, nil)
	if _, err := session.ListTools(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	alice := signIn(t, stack.Alice)
	alice.CheckRedirect = nil // as a browser
	for language, want := range map[string]string{"en": "Who you are", "ko": "내 정보"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gate.URL+"/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		req.Header.Set("Accept-Language", language)
		res, err := alice.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		page := read(t, res)
		if res.StatusCode != http.StatusOK || res.Request.URL.String() != gate.URL+"/" {
			t.Fatalf("%s at %s: %s", res.Status, res.Request.URL, page)
		}
		for _, text := range []string{
			want, "alice@example.com", "<li>whoami</li>", "/account/ca.crt",
			"claude mcp add --transport http gatehouse " + gate.URL + "/mcp",
		} {
			if !strings.Contains(page, text) {
				t.Errorf("the page in %s lacks %q", language, text)
			}
		}
	}
}
