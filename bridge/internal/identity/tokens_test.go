package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokens(t *testing.T) {
	sum := sha256.Sum256([]byte("bob's-token-of-32-bytes-or-more!"))
	path := tokenFile(
		t,
		"# who may call\n\nalice alice's-first-token\nalice alice's-other-token\nbob sha256:"+hex.EncodeToString(sum[:])+"\n",
	)
	tokens, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	served := tokens.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(From(r.Context()).Subject))
	}))
	ask := func(authorization ...string) *httptest.ResponseRecorder {
		r, w := httptest.NewRequest(http.MethodGet, "/mcp", nil), httptest.NewRecorder()
		r.Header["Authorization"] = authorization
		served.ServeHTTP(w, r)
		return w
	}
	for name, tc := range map[string]struct {
		sent []string
		who  string // "" is nobody
	}{
		"first":         {[]string{"Bearer alice's-first-token"}, "alice"},
		"other":         {[]string{"bearer  alice's-other-token "}, "alice"},
		"hashed":        {[]string{"Bearer bob's-token-of-32-bytes-or-more!"}, "bob"},
		"the hash":      {[]string{"Bearer sha256:" + hex.EncodeToString(sum[:])}, ""},
		"none":          {nil, ""},
		"empty":         {[]string{"Bearer "}, ""},
		"another way":   {[]string{"Basic alice's-first-token"}, ""},
		"two at once":   {[]string{"Bearer alice's-first-token", "Bearer alice's-first-token"}, ""},
		"a part of one": {[]string{"Bearer alice's-first"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(tc.sent...)
			if tc.who != "" && (w.Code != http.StatusOK || w.Body.String() != tc.who) {
				t.Errorf("%d %q, want %s", w.Code, w.Body, tc.who)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); tc.who == "" &&
				(w.Code != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer")) {
				t.Errorf("%d %q, challenge %q", w.Code, w.Body, challenge)
			}
		})
	}
	if err := os.WriteFile(path, []byte("alice alice's-other-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if gone, err := tokens.Reload(); err != nil || len(gone) != 2 || gone[0] == gone[1] {
		t.Errorf("gone: %q, %v", gone, err)
	}
	if w := ask("Bearer alice's-first-token"); w.Code != http.StatusUnauthorized {
		t.Errorf("a token that was taken away: %d", w.Code)
	}
	if err := os.WriteFile(path, []byte("alice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Reload(); err == nil || ask("Bearer alice's-other-token").Code != http.StatusOK {
		t.Errorf("a bad file takes the place of the good one: %v", err)
	}
}

func TestTokenFilesThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct{ text, says string }{
		"empty":         {"# nobody\n", "it names nobody"},
		"no token":      {"alice\n", "line 1: it has 1 words; write NAME TOKEN"},
		"three words":   {"alice this is-secret\n", "line 1: it has 3 words"},
		"short":         {"\nalice secret\n", "line 2: the token has 6 bytes, the least is 16"},
		"half a hash":   {"alice sha256:abcd\n", "64 hex digits"},
		"the same":      {"alice secret-secret-secret\nbob secret-secret-secret", "line 2: the token stands there twice"},
		"all of it":     {"alice\nbob\n", "line 2"},
		"not even read": {"", "tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenTokens(tokenFile(t, tc.text))
			if !errors.Is(err, ErrTokens) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("err = %v, want %q", err, tc.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Error("it tells a token")
			}
		})
	}
}
