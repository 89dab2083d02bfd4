package signin_test

import (
	"context"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/bridge/internal/connect/signin"
)

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestFromNothing(t *testing.T) {
	for _, method := range []string{"none", "client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			w, dir := newWorld(t), filepath.Join(t.TempDir(), "tokens")
			w.methods = []string{method}
			u := w.user(dir, nil)
			token, err := u.use(limited(t), "")
			if err != nil {
				t.Fatal(err)
			}
			asked := w.asked[0]
			if asked.Get("code_challenge_method") != "S256" || asked.Get("resource") != w.url() || asked.Get("scope") != "mcp" {
				t.Errorf("asked for %v", asked)
			}
			private(t, dir)
			for _, said := range u.said {
				if strings.Contains(said, token) {
					t.Error("the token was told")
				}
			}
			again := w.user(dir, nil)
			if next, err := again.use(limited(t), ""); err != nil || next != token || w.times("authorize") != 1 {
				t.Errorf("the next start: %v, %d sign-ins", err, w.times("authorize"))
			}
		})
	}
}

// private checks the modes of all that is kept.
func private(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestOneRefreshesForAll: eight processes find the token about to end; the
// refresh token is good once.
func TestOneRefreshesForAll(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	first, err := w.user(dir, nil).use(limited(t), "")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		u := w.user(dir, nil)
		u.later(250 * time.Second) // of 300
		wg.Go(func() {
			if token, err := u.use(limited(t), ""); err != nil || token == first {
				t.Errorf("%q after %q: %v", token, first, err)
			}
		})
	}
	wg.Wait()
	if r, a := w.times("refresh_token"), w.times("authorize"); r != 1 || a != 1 {
		t.Errorf("%d refreshes and %d sign-ins, want one of each", r, a)
	}
}

// TestOneSignsInForAll: a client that starts five servers opens one page.
func TestOneSignsInForAll(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	var wg sync.WaitGroup
	for range 5 {
		u := w.user(dir, nil)
		wg.Go(func() {
			if _, err := u.use(limited(t), ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.times("authorize"); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

func TestASignOutElsewhereIsNoticed(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	u := w.user(dir, nil)
	if _, err := u.use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.gone = true
	w.mu.Unlock()
	if _, err := u.use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	if a, r := w.times("authorize"), w.times("register"); a != 2 || r != 1 {
		t.Errorf("%d sign-ins and %d registrations, want 2 and 1", a, r)
	}
}

func TestStepUp(t *testing.T) {
	w := newWorld(t)
	u := w.user(t.TempDir(), nil)
	if _, err := u.use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := u.use(limited(t), "write"); err != nil {
		t.Fatal(err)
	}
	if scope := w.asked[1].Get("scope"); scope != "mcp write" {
		t.Errorf("asked for %q, want what there was and what is wanted", scope)
	}
	w.mu.Lock()
	w.access = map[string]string{}
	w.mu.Unlock()
	w.back = func(url.Values) {}
	_, err := u.use(limited(t), "write")
	if err != nil {
		t.Fatal(err)
	}
	status, header := http.StatusForbidden, http.Header{
		"Www-Authenticate": {`Bearer error="insufficient_scope", scope="write"`},
	}
	token, _ := u.Token(limited(t))
	if err := u.Refused(limited(t), token, status, header); err == nil {
		t.Error("a scope that was asked for is asked for again")
	}
}

func TestDevice(t *testing.T) {
	for _, method := range []string{"none", "client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			w.methods = []string{method}
			u := w.user(t.TempDir(), func(o *signin.Options) { o.Device = true })
			if _, err := u.use(limited(t), ""); err != nil {
				t.Fatal(err)
			}
			if len(u.said) != 1 || !strings.Contains(u.said[0], "/visit") || !strings.Contains(u.said[0], "ABCD") {
				t.Errorf("said %q", u.said)
			}
		})
	}
}

func TestClientIDs(t *testing.T) {
	const document = "https://client.example/metadata.json"
	for name, c := range map[string]struct {
		id       string
		takes    bool
		want     string
		register int
	}{
		"a document that is taken":     {document, true, document, 0},
		"a document that is not taken": {document, false, "registered", 1},
		"one registered ahead":         {"ahead", true, "ahead", 0},
		"none":                         {"", true, "registered", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.document = c.takes
			u := w.user(t.TempDir(), func(o *signin.Options) { o.ClientID = c.id })
			if _, err := u.use(limited(t), ""); err != nil {
				t.Fatal(err)
			}
			if got := w.asked[0].Get("client_id"); got != c.want || w.times("register") != c.register {
				t.Errorf("signed in as %q with %d registrations", got, w.times("register"))
			}
		})
	}
}

// TestWhatMustNotBeBelieved: each of these ends the sign-in before a token is
// asked for.
func TestWhatMustNotBeBelieved(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, name string, doc map[string]any)
		back   func(q url.Values)
		says   string
	}{
		"metadata of another issuer": {change: func(_ *world, name string, doc map[string]any) {
			if name == "issuer" {
				doc["issuer"] = "https://attacker.example"
			}
		}, says: "another issuer"},
		"an issuer with a slash more": {change: func(w *world, name string, doc map[string]any) {
			if name == "issuer" {
				doc["issuer"] = w.issuer.URL + "/"
			}
		}, says: "another issuer"},
		"metadata of another resource": {change: func(_ *world, name string, doc map[string]any) {
			if name == "resource" {
				doc["resource"] = "https://other.example/mcp"
			}
		}, says: "another resource"},
		"a resource beside": {change: func(w *world, name string, doc map[string]any) {
			if name == "resource" {
				doc["resource"] = w.resource.URL + "/mc"
			}
		}, says: "another resource"},
		"a token endpoint without TLS": {change: func(_ *world, name string, doc map[string]any) {
			if name == "issuer" {
				doc["token_endpoint"] = "http://attacker.example/token"
			}
		}, says: "token_endpoint"},
		"a page to open that is a script": {change: func(_ *world, name string, doc map[string]any) {
			if name == "issuer" {
				doc["authorization_endpoint"] = "javascript:alert(1)"
			}
		}, says: "authorization_endpoint"},
		"no PKCE": {change: func(_ *world, name string, doc map[string]any) {
			if name == "issuer" {
				delete(doc, "code_challenge_methods_supported")
			}
		}, says: "S256"},
		"an answer of another issuer":      {back: func(q url.Values) { q.Set("iss", "https://attacker.example") }, says: "another issuer"},
		"an answer that names no issuer":   {back: func(q url.Values) { q.Del("iss") }, says: "no issuer"},
		"an answer that is an error":       {back: func(q url.Values) { q.Set("error", "access_denied") }, says: "access_denied"},
		"an error that writes a new line":  {back: func(q url.Values) { q.Set("error", "a\nb\x1b") }, says: "a?b?"},
		"an answer that has no code in it": {back: func(q url.Values) { q.Del("code") }, says: "no code"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.change != nil {
				w.change = func(name string, doc map[string]any) { c.change(w, name, doc) }
			}
			w.back = c.back
			_, err := w.user(t.TempDir(), nil).use(limited(t), "")
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if w.times("authorization_code") > 0 {
				t.Error("a token was asked for")
			}
			if c.change != nil && w.times("register")+w.times("authorize") > 0 {
				t.Error("what the metadata name was asked")
			}
		})
	}
}

// TestAnAnswerWithAnotherState waits for the right one: any page can send a
// browser to the port.
func TestAnAnswerWithAnotherState(t *testing.T) {
	w := newWorld(t)
	u := w.user(t.TempDir(), func(o *signin.Options) {
		browse := o.Browse
		o.Browse = func(link string) error {
			parsed, err := url.Parse(link)
			if err != nil {
				return err
			}
			res, err := http.Get(parsed.Query().Get("redirect_uri") + "?code=evil&state=evil") //nolint:noctx // a test
			if err != nil {
				return err
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("the forged answer was taken: %d", res.StatusCode)
			}
			return browse(link)
		}
	})
	if _, err := u.use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
}

// TestTheIssuerMoves: what one authorization server gave is not shown to
// another.
func TestTheIssuerMoves(t *testing.T) {
	old, w, dir := newWorld(t), newWorld(t), t.TempDir()
	moved := false
	w.change = func(name string, doc map[string]any) {
		if name == "resource" && !moved {
			doc["authorization_servers"] = []string{old.issuer.URL}
		}
	}
	old.change = func(name string, doc map[string]any) {
		if name == "registration" {
			doc["client_id"] = "of the old one"
		}
	}
	u := w.user(dir, nil)
	token, _ := u.Token(limited(t))
	_, header := w.judge(token, "")
	if err := u.Refused(limited(t), token, http.StatusUnauthorized, header); err == nil {
		t.Fatal("the old one gave a token for a resource that it does not know") // its resource differs
	}
	moved = true
	w2 := w.user(dir, nil)
	if _, err := w2.use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	if got := w.asked[0].Get("client_id"); got != "registered" {
		t.Errorf("the new one was asked as %q", got)
	}
}

// TestAClientIsOfOneIssuer: one that the user gave is not shown to another, be it
// where it was used first or what he names.
func TestAClientIsOfOneIssuer(t *testing.T) {
	attacker, w, dir := newWorld(t), newWorld(t), t.TempDir()
	given := func(o *signin.Options) { o.ClientID = "ahead" }
	names := func(issuer string) {
		w.change = func(name string, doc map[string]any) {
			if name == "resource" {
				doc["authorization_servers"] = []string{issuer}
			}
		}
	}
	refused := func(u *user) {
		t.Helper()
		_, err := u.use(limited(t), "")
		if err == nil || !strings.Contains(err.Error(), "is not shown to another") {
			t.Errorf("at another authorization server: %v", err)
		}
	}
	names(w.issuer.URL)
	if _, err := w.user(dir, given).use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.gone = true // and signs in again
	w.mu.Unlock()
	names(attacker.issuer.URL)
	refused(w.user(dir, given))
	refused(w.user(t.TempDir(), func(o *signin.Options) { given(o); o.Issuer = w.issuer.URL }))
	if n := attacker.times("authorize") + attacker.times("authorization_code"); n > 0 || w.times("authorize") == 0 {
		t.Errorf("it was asked %d times, and its own one %d", n, w.times("authorize"))
	}
	if _, err := signin.New(signin.Options{URL: w.url(), Issuer: "ftp://x"}); err == nil {
		t.Error("an issuer at no address is taken")
	}
}

func TestWhatIsKeptCanBeAnything(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	u := w.user(dir, nil)
	if _, err := u.use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.user(dir, nil).use(limited(t), ""); err != nil || w.times("authorize") != 2 {
		t.Errorf("%v after %d sign-ins", err, w.times("authorize"))
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	for _, address := range []string{"http://mcp.example.com/mcp", "ftp://localhost/", "https://user@mcp.example.com/", "mcp.example.com", "https://"} {
		if _, err := signin.New(signin.Options{URL: address}); err == nil {
			t.Errorf("%s was taken", address)
		}
	}
}
