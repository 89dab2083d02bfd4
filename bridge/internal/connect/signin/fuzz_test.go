package signin

import (
	"bytes"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"gatehouse/bridge/internal/connect/outbound"
)

func TestReadChallenge(t *testing.T) {
	for value, want := range map[string]challenge{
		`Bearer`: {},
		`Bearer resource_metadata="https://a/b", scope="x y", error="invalid_token"`: {"https://a/b", []string{"x", "y"}, "invalid_token"},
		`Basic realm="a, Bearer scope=no", bearer scope = x`:                         {"", []string{"x"}, ""},
		`DPoP algs="ES256", Bearer error="insufficient_scope", scope="a \"b"`:        {"", []string{"a", `"b`}, "insufficient_scope"},
		`Negotiate abc==, Bearer scope=z`:                                            {"", []string{"z"}, ""},
		`Bearer scope="not ended`:                                                    {"", []string{"not", "ended"}, ""},
		`Digest nonce="n"`:                                                           {},
	} {
		got := readChallenge(http.Header{"Www-Authenticate": {value}})
		if len(got.scopes) == 0 {
			got.scopes = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", value, got, want)
		}
	}
}

// FuzzChallenge: any header is read in the time of its length, and ends.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer resource_metadata="https://a/b", scope="x y"`)
	f.Add(`Negotiate abc==, =,"\`)
	f.Fuzz(func(_ *testing.T, value string) {
		readChallenge(http.Header{"Www-Authenticate": {value}})
	})
}

// FuzzMetadata: whatever documents a server and its issuer hand out, what
// passes names addresses that may be asked, and no port of this machine.
func FuzzMetadata(f *testing.F) {
	f.Add(
		[]byte(`{"resource":"https://mcp.example.com/mcp","authorization_servers":["https://a"]}`),
		[]byte(
			`{"issuer":"https://a","token_endpoint":"https://a/t","authorization_endpoint":"https://a/a","code_challenge_methods_supported":["S256"]}`,
		),
	)
	f.Add([]byte(`{"resource":"https://mcp.example.com"}`), []byte(`{"token_endpoint":"http://127.0.0.1/"}`))
	f.Fuzz(func(t *testing.T, server, as []byte) {
		s, err := New(Options{URL: "https://mcp.example.com/mcp", Dir: "unused"})
		if err != nil {
			t.Fatal(err)
		}
		var doc resource
		if decode(bytes.NewReader(server), &doc) == nil && s.checkResource(&doc) == nil &&
			!strings.HasPrefix(strings.ToLower(doc.Resource), "https://mcp.example.com") {
			t.Fatalf("a token for %q", doc.Resource)
		}
		var meta issuer
		if decode(bytes.NewReader(as), &meta) != nil || s.checkIssuer(&meta) != nil {
			return
		}
		for _, endpoint := range []string{meta.Authorize, meta.Token, meta.Register, meta.Revoke, meta.Device} {
			if endpoint == "" {
				continue
			}
			if u, err := outbound.Check(endpoint, nil); err != nil || u.Scheme != "https" || outbound.Loopback(u) {
				t.Fatalf("%q may be asked", endpoint)
			}
		}
	})
}
