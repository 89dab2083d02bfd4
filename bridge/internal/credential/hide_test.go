package credential

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/internal/contract"
)

func lent(t *testing.T, secrets ...string) *Loan {
	t.Helper()
	l := &Loan{keeper: New(&Keeper{Log: zerolog.Nop()}), want: Want{File: "token"}}
	for _, secret := range secrets {
		if err := l.take(contract.CredentialAnswer{Secret: secret}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// TestWhatAChildHadIsHiddenToo: a renewed token, and the one that was taken back,
// open something yet when the child says its last words.
func TestWhatAChildHadIsHiddenToo(t *testing.T) {
	says := "hush, anew"
	l := lent(t, "hush", "anew")
	if got, _ := l.Hide(says, false); got != "[credential], [credential]" {
		t.Errorf("renewed: %s", got)
	}
	l.Return()
	if got, _ := l.Hide(says, false); got != "[credential], [credential]" {
		t.Errorf("returned: %s", got)
	}
	l = lent(t, "-----BEGIN KEY-----\nMIIBVgIBADANBg\n-----END KEY-----\n")
	if got, _ := l.Hide("my key is MIIBVgIBADANBg", false); got != "my key is [credential]" {
		t.Errorf("a line of it: %s", got)
	}
	now := time.Now()
	l = lent(t, "now")
	for n := range 100 {
		l.keep(strings.Repeat("x", n+1), now.Add(-time.Second))
		l.keep(strings.Repeat("y", n+1), time.Time{})
	}
	if len(l.former) > maxFormer {
		t.Errorf("%d are remembered", len(l.former))
	}
}

// TestALineInPiecesHidesWhatFallsBetweenThem, wherever the pieces end.
func TestALineInPiecesHidesWhatFallsBetweenThem(t *testing.T) {
	l := lent(t, "hush-hush-hurry")
	line := "it says hush-hush-hush-hurry and hush-hush-hurry"
	for size := 1; size < len(line); size++ {
		said, rest := "", ""
		for from := 0; from < len(line); from += size {
			to := min(from+size, len(line))
			var shown string
			shown, rest = l.Hide(rest+line[from:to], to < len(line))
			said += shown
		}
		if want := "it says hush-[credential] and [credential]"; said != want || rest != "" {
			t.Errorf("pieces of %d: %q and %q, want %q", size, said, rest, want)
		}
	}
}
