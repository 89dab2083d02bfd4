package signin_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/bridge/internal/connect/signin"
)

// ring is a keyring of the tests.
type ring struct {
	mu     sync.Mutex
	keys   map[string]string
	broken error
}

func (k *ring) Get(name string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[name]
	if k.broken == nil && !ok {
		return "", signin.ErrNoKey
	}
	return key, k.broken
}

func (k *ring) Set(name, secret string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[string]string{}
	}
	k.keys[name] = secret
	return k.broken
}

func (k *ring) Delete(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, name)
	return k.broken
}

func (k *ring) with(seal bool) func(o *signin.Options) {
	return func(o *signin.Options) { o.Keys, o.Seal = k, seal }
}

// only is the one file of tokens.
func only(t *testing.T, dir string) (path, text string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v; want one file of tokens", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return files[0], string(raw)
}

// TestSealed: nothing of a sign-in stands in the file, and all goes on as with a
// plain one: the next start, also without the flag, one refresh for eight
// processes, and the logout, after which the keyring has nothing either.
func TestSealed(t *testing.T) {
	keys := &ring{}
	sealing(t, keys)
	if len(keys.keys) > 0 {
		t.Errorf("%d keys are left", len(keys.keys))
	}
}

func sealing(t *testing.T, keys signin.Keys) {
	t.Helper()
	w, dir := newWorld(t), filepath.Join(t.TempDir(), "tokens")
	with := func(seal bool) func(o *signin.Options) {
		return func(o *signin.Options) { o.Keys, o.Seal = keys, seal }
	}
	w.change = func(name string, doc map[string]any) {
		if name == "registration" {
			doc["client_secret"] = strings.Repeat("long", 1000) // no keyring of Windows takes it
		}
	}
	first, err := w.user(dir, with(true)).use(limited(t), "")
	if err != nil {
		t.Fatal(err)
	}
	private(t, dir)
	_, text := only(t, dir)
	for _, secret := range []string{first, "access_token", "client_id", "registered"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q stands in the file: %s", secret, text)
		}
	}
	var box struct{ Key string }
	if err := json.Unmarshal([]byte(text), &box); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Get(box.Key); err != nil {
		t.Errorf("the key %q: %v", box.Key, err)
	}
	if next, err := w.user(dir, with(false)).use(limited(t), ""); err != nil || next != first {
		t.Errorf("the next start: %v", err)
	}
	var wg sync.WaitGroup
	for range 8 {
		u := w.user(dir, with(false))
		u.later(250 * time.Second) // of 300
		wg.Go(func() {
			if token, err := u.use(limited(t), ""); err != nil || token == first {
				t.Errorf("%q after %q: %v", token, first, err)
			}
		})
	}
	wg.Wait()
	if _, text := only(t, dir); !strings.Contains(text, `"sealed"`) {
		t.Error("the refresh has opened the file")
	}
	if r, a := w.times("refresh_token"), w.times("authorize"); r != 1 || a != 1 {
		t.Errorf("%d refreshes and %d sign-ins, want one of each", r, a)
	}
	if err := w.user(dir, with(false)).Logout(limited(t)); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.json")); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
	if _, err := keys.Get(box.Key); !errors.Is(err, signin.ErrNoKey) {
		t.Errorf("the key after the logout: %v", err)
	}
}

// TestAPlainFileIsSealed by the first start with the flag, without a sign-in.
func TestAPlainFileIsSealed(t *testing.T) {
	w, dir, keys := newWorld(t), t.TempDir(), &ring{}
	first, err := w.user(dir, keys.with(false)).use(limited(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, text := only(t, dir); !strings.Contains(text, first) {
		t.Fatal("it is sealed already")
	}
	if next, err := w.user(dir, keys.with(true)).Token(limited(t)); err != nil || next != first {
		t.Errorf("%q, %v", next, err)
	}
	if _, text := only(t, dir); strings.Contains(text, first) {
		t.Error("the file is plain still")
	}
}

// TestTheKeyIsGone, or another: who it was signs in again, and it stays sealed.
func TestTheKeyIsGone(t *testing.T) {
	w, dir, keys := newWorld(t), t.TempDir(), &ring{}
	if _, err := w.user(dir, keys.with(true)).use(limited(t), ""); err != nil {
		t.Fatal(err)
	}
	for i, lose := range []func(name string){
		func(name string) { delete(keys.keys, name) },
		func(name string) { keys.keys[name] = "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=" },
	} {
		for name := range keys.keys {
			lose(name)
		}
		token, err := w.user(dir, keys.with(false)).use(limited(t), "")
		if _, text := only(t, dir); err != nil || strings.Contains(text, token) {
			t.Errorf("%v, %s", err, text)
		}
		if got := w.times("authorize"); got != i+2 {
			t.Errorf("%d sign-ins", got)
		}
	}
}

// TestTheKeyringDoesNotAnswer: nobody is asked to sign in for what cannot be
// kept, and what is kept is not taken for lost.
func TestTheKeyringDoesNotAnswer(t *testing.T) {
	w, dir, keys := newWorld(t), t.TempDir(), &ring{broken: errors.New("no bus")}
	if _, err := w.user(dir, keys.with(true)).use(limited(t), ""); err == nil ||
		!strings.Contains(err.Error(), "no bus") || !strings.Contains(err.Error(), "without --keyring") {
		t.Errorf("%v", err)
	}
	if w.times("register")+w.times("authorize") > 0 {
		t.Error("somebody was asked to sign in")
	}
	keys.broken = nil
	first, err := w.user(dir, keys.with(true)).use(limited(t), "")
	if err != nil {
		t.Fatal(err)
	}
	keys.broken = errors.New("no bus")
	_, err = w.user(dir, keys.with(false)).use(limited(t), "")
	if err == nil || !strings.Contains(err.Error(), "no bus") {
		t.Errorf("%v", err)
	}
	keys.broken = nil
	if again, err := w.user(dir, keys.with(false)).use(limited(t), ""); err != nil || again != first {
		t.Errorf("%v", err)
	}
}
