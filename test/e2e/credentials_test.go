//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/stack"
)

// Two users, one server: each posts as himself, by a secret that he entered, by
// a provider of its own, by his exchanged token and by his linked account. What
// is not connected names the address. An outage of Redis stops nothing that
// runs and lets nothing new begin, and nothing is left of who signed out.
func TestNativeCredentials(t *testing.T) {
	secrets := map[string]string{"alice-at-slack-0123456789": stack.Alice, "bob-at-slack-0123456789": stack.Bob}
	l := startLab(t, secrets)
	alice, bob := l.signIn(stack.Alice, "&kc_idp_hint="+partner), l.signIn(stack.Bob, "")

	if _, err := l.open("entered", "Cookie", alice); err == nil ||
		!strings.Contains(err.Error(), gate.URL+"/account/connect/slack") {
		t.Fatalf("before she has connected it: %v", err)
	}
	for secret, user := range secrets {
		cookie := map[string]string{stack.Alice: alice, stack.Bob: bob}[user]
		res := l.ask(http.MethodPost, "/account/connect/slack", cookie, url.Values{"secret": {secret}})
		if res.StatusCode != http.StatusSeeOther {
			t.Fatalf("entering it: %s", res.Status)
		}
	}
	for _, user := range []string{stack.Alice, stack.Bob} {
		cookie := map[string]string{stack.Alice: alice, stack.Bob: bob}[user]
		for _, server := range []string{"entered", "environ"} {
			s, err := l.open(server, "Cookie", cookie)
			if err != nil {
				t.Fatal(err)
			}
			if got, by, _ := l.post(s); got != user || by != "itself" {
				t.Errorf("%s: %s posts as %q of %q", server, user, got, by)
			}
		}
		begun := l.ask(http.MethodPost, "/account/connect/chat/begin", cookie, nil)
		back := l.browse(begun.Header.Get("Location"), user)
		res := l.ask(http.MethodGet, back.RequestURI(), cookie+"; "+cookiesOf(begun), nil)
		if res.Header.Get("Location") != "/account#credentials" {
			t.Fatalf("%s: the provider's answer gave %s", user, res.Status)
		}
		s, err := l.open("oauth", "Cookie", cookie)
		if err != nil {
			t.Fatal(err)
		}
		if got, by, _ := l.post(s); got != user || by != partner {
			t.Errorf("oauth: %s posts as %q of %q", user, got, by)
		}
		if s, err = l.open("exchange", "Cookie", cookie); err != nil {
			t.Fatal(err)
		}
		if got, by, audience := l.post(s); got != user || by != stack.Realm || fmt.Sprint(audience) != "reports-api" {
			t.Errorf("exchange: %s posts as %q of %q for %v", user, got, by, audience)
		}
	}
	hers, err := l.open("linked", "Cookie", alice)
	if err != nil {
		t.Fatal(err)
	}
	if got, by, _ := l.post(hers); got != stack.Alice || by != partner {
		t.Errorf("linked: alice posts as %q of %q", got, by)
	}
	_, err = l.open("linked", "Cookie", bob)
	if err == nil || !strings.Contains(err.Error(), "/account/connect/partner") {
		t.Errorf("bob, who has linked nothing: %v", err)
	}

	his, err := l.open("entered", "Cookie", bob)
	if err != nil {
		t.Fatal(err)
	}
	over := outage(t, stack.Redis)
	if got, _, _ := l.post(his); got != stack.Bob {
		t.Errorf("without Redis what runs posts as %q", got)
	}
	over()

	before := len(l.holding("alice-at-slack"))
	if before == 0 {
		t.Error("nothing of alice is found while she is there, so the search shows nothing")
	}
	l.ask(http.MethodPost, "/logout", alice, nil)
	took := eventually(t, crowded*streamPromise, "nothing of alice is left", func() bool {
		return len(l.holding("alice-at-slack")) == 0
	})
	t.Logf("gone within %s", took)
	if got, _, _ := l.post(his); got != stack.Bob {
		t.Errorf("after her logout bob posts as %q", got)
	}
	all := l.file("authsvc.log") + l.file("bridge.log") + l.file("authsvc-audit") + l.file("bridge-audit")
	keys, err := gate.Redis(t.Context(), "--scan")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range strings.Fields(keys) {
		value, _ := gate.Redis(t.Context(), "get", key)
		all += value
	}
	for secret := range secrets {
		if strings.Contains(all, secret) {
			t.Error("Redis, a log or an audit holds a secret")
		}
	}
	if len(keys) == 0 || !strings.Contains(all, `"event":"credential connected"`) ||
		!strings.Contains(all, `"outcome":"lent"`) {
		t.Error("the dump is of nothing, or the audit lacks what happened")
	}
}

// holding are the files of /proc and of the private folders that hold a text.
func (l *lab) holding(text string) (found []string) {
	var files []string
	for _, pattern := range []string{
		"/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline", filepath.Join(os.TempDir(), "gatehouse*", "*", "*", "token"),
		filepath.Join(os.TempDir(), "gatehouse*", "*", "*", "*", "token"),
	} {
		more, _ := filepath.Glob(pattern)
		files = append(files, more...)
	}
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil && strings.Contains(string(raw), text) {
			found = append(found, file)
		}
	}
	return found
}
