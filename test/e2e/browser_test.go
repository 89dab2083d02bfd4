//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gatehouse/test/stack"
)

// browser is a headless Chromium with a profile of its own that trusts the
// gate's certificate and no other that it does not know.
func browser(t *testing.T) context.Context {
	t.Helper()
	conn, err := tls.Dial("tcp", address(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	pin := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	_ = conn.Close()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"),
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(pin[:])),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium as root has none
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // its start on a busy machine as well
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// do runs the steps in the browser and says where it stood when one failed.
func do(t *testing.T, ctx context.Context, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		at, text := shown(ctx)
		t.Fatalf("%s: %v, at %s:\n%s", what, err, at, text)
	}
}

// shown is where the browser stands and the text that it shows.
func shown(ctx context.Context) (at, text string) {
	at, _ = chromedp.Run(ctx, chromedp.Location())
	text, _ = chromedp.Run(ctx, chromedp.Text("body"))
	return at, text
}

// keycloakLogin types name and password into Keycloak's own form, again where it is
// shown once more: stack.LoginLimit says why.
func keycloakLogin(user string) chromedp.Action[chromedp.Void] {
	once := chromedp.Steps(
		chromedp.WaitVisible("#username"),
		chromedp.Clear("#username"),
		chromedp.SendKeys("#username", user),
		chromedp.SendKeys("#password", stack.Password(user)),
		chromedp.Evaluate[chromedp.Void]("window.typed = true"),
		chromedp.Click("#kc-login"),
	)
	return func(ctx context.Context, at *chromedp.Target) (none chromedp.Void, err error) {
		for end := time.Now().Add(stack.LoginLimit); ; <-time.After(100 * time.Millisecond) {
			if _, err := once(ctx, at); err != nil {
				return none, err
			}
			refused, err := formAgain(ctx, at)
			if err != nil || !refused {
				return none, err
			}
			if time.Now().After(end) {
				return none, errors.New("Keycloak refuses the name and password of " + user)
			}
		}
	}
}

// formAgain waits until the page on which the form was sent is another one, and
// tells whether that asks for a password again. Between two pages there is none to
// ask: that is an error of the browser's, and no answer.
func formAgain(ctx context.Context, at *chromedp.Target) (again bool, err error) {
	shows := chromedp.Evaluate[string](`window.typed || document.readyState === "loading" ? "" :
  document.querySelector("#password") ? "form" : "other"`)
	for {
		if is, err := shows(ctx, at); err == nil && is != "" {
			return is == "form", nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestBrowserSignsInAndOut(t *testing.T) {
	before := sessions(t)
	ctx := browser(t)
	do(
		t,
		ctx,
		"sign in",
		chromedp.Navigate(gate.URL+"/account"),
		keycloakLogin(stack.Alice),
		chromedp.WaitVisible(signOut),
	)
	if at, page := shown(ctx); at != gate.URL+"/account" || !strings.Contains(page, "alice@example.com") {
		t.Fatalf("after the login: at %s:\n%s", at, page)
	}
	made := slices.DeleteFunc(sessions(t), func(key string) bool { return slices.Contains(before, key) })
	if len(made) != 1 {
		t.Fatalf("the login made the sessions %q, want one", made)
	}
	do(t, ctx, "sign out", chromedp.Click(signOut), chromedp.WaitNotPresent(signOut))
	eventually(t, crowded*streamPromise, "the session is gone in Redis", func() bool {
		return !slices.Contains(sessions(t), made[0])
	})
	// Keycloak's own session has ended too: the next visit asks for a password.
	do(t, ctx, "the next visit", chromedp.Navigate(gate.URL+"/account"), chromedp.WaitVisible("#password"))
	if at, page := shown(ctx); !strings.HasPrefix(at, gate.Issuer) {
		t.Errorf("after the logout: at %s:\n%s", at, page)
	}
}

const signOut = `form[action="/logout"] button`

// sessions are the keys of the sessions in Redis.
func sessions(t *testing.T) []string {
	t.Helper()
	keys, err := gate.Redis(t.Context(), "--raw", "KEYS", "gatehouse:session*")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(keys)
}
