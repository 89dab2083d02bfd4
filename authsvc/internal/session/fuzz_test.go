package session_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/session"
)

func FuzzCookie(f *testing.F) {
	good := session.CookieName + "=" + session.NewSecret().Encode()
	for _, seed := range []string{good, good + "; " + good, "a=b; " + good, session.CookieName + "=", ";;;", session.CookieName, "x" + good} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		text, found := session.Cookie("").Value([]string{header}, 4096)
		if found && (len(header) > 4096 || strings.Contains(text, ";")) {
			t.Errorf("%q gave %q", header, text)
		}
		secret, ok := session.ParseSecret(text)
		if ok && secret.Encode() != text {
			t.Errorf("%q has a second spelling: %q", text, secret.Encode())
		}
	})
}

func FuzzSealed(f *testing.F) {
	box := session.NewBox([]byte("secret"), "fuzz")
	sealed := box.Seal("name", []byte("value"))
	f.Add(sealed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		plain, err := box.Open("name", value)
		if err == nil && string(plain) != "value" { // each process of the fuzzer seals it anew
			t.Errorf("opened what was never sealed: %q", plain)
		}
	})
}

func TestSealedValueHangsOnItsNameAndUse(t *testing.T) {
	secret, own := session.NewSecret(), session.NewBox([]byte("of the store"), "index")
	sealed := secret.Box(own, "session").Seal("one", []byte("value"))
	if plain, err := secret.Box(own, "session").Open("one", sealed); err != nil || string(plain) != "value" {
		t.Fatal(plain, err)
	}
	other, another := session.NewSecret(), session.NewBox([]byte("of another store"), "index")
	for name, open := range map[string]func() ([]byte, error){
		"another name":   func() ([]byte, error) { return secret.Box(own, "session").Open("two", sealed) },
		"another use":    func() ([]byte, error) { return secret.Box(own, "login").Open("one", sealed) },
		"another secret": func() ([]byte, error) { return other.Box(own, "session").Open("one", sealed) },
		"another store":  func() ([]byte, error) { return secret.Box(another, "session").Open("one", sealed) },
	} {
		if _, err := open(); !errors.Is(err, session.ErrSealed) {
			t.Errorf("%s: err = %v, want ErrSealed", name, err)
		}
	}
	if bytes.Contains([]byte(secret.Key("session")), secret[:]) || strings.Contains(secret.String(), secret.Encode()) {
		t.Error("the secret shows in its key or its text")
	}
}
