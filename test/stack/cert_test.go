package stack

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTheAuthorityStays from one start to the next, and is made anew where its
// certificate ends soon or does not belong to it.
func TestTheAuthorityStays(t *testing.T) {
	dir := t.TempDir()
	authority := func() string {
		t.Helper()
		if _, err := certificates(dir); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := authority()
	if authority() != first {
		t.Error("a second start has another authority")
	}
	if kept(dir, time.Now().AddDate(0, 7, 0)) != nil {
		t.Error("a certificate is kept that has ended by then")
	}
	other := t.TempDir()
	if _, err := certificates(other); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(other, "ca.pem"), filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	if kept(dir, time.Now()) != nil {
		t.Error("a certificate is kept beside an authority that did not sign it")
	}
	if err := os.Remove(filepath.Join(dir, "server.key")); err != nil {
		t.Fatal(err)
	}
	if third := authority(); third == first {
		t.Error("the authority is the first again")
	}
}
