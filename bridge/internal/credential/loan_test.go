package credential

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// authsvc is asked before what it gave has ended, now and then where its user
// may replace it, and never without end.
func TestWhenALoanIsLookedAt(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		life  time.Duration // 0 for none
		watch bool
		want  time.Duration
	}{
		"a token of five minutes":        {5 * time.Minute, false, 4 * time.Minute},
		"the same, that may be replaced": {5 * time.Minute, true, watchEvery},
		"nearly over":                    {2 * time.Second, true, time.Second},
		"over":                           {-time.Hour, false, time.Second},
		"without an end":                 {0, true, watchEvery},
		"nothing to look for":            {0, false, 24 * time.Hour},
	} {
		var end time.Time
		if c.life != 0 {
			end = now.Add(c.life)
		}
		if got := nextLook(now, end, c.watch).Sub(now); got != c.want {
			t.Errorf("%s: after %s, want %s", name, got, c.want)
		}
	}
}

// A file is renewed in one step and goes with the loan; without a folder of the
// child alone nothing is laid anywhere; what a child says is told without it.
func TestWhereALoanLies(t *testing.T) {
	k := New(&Keeper{Log: zerolog.Nop()})
	lend := func(want Want) *Loan {
		l := &Loan{keeper: k, want: want}
		if err := l.take(contract.CredentialAnswer{Secret: "hush"}); err != nil {
			t.Fatal(err)
		}
		return l
	}
	var refused *mux.Refusal
	if env, err := lend(Want{File: "token"}).Place(""); !errors.As(err, &refused) || env != nil {
		t.Errorf("without a folder: %v, %v", env, err)
	}
	if env, err := lend(Want{Env: "TOKEN"}).Place(t.TempDir()); err != nil || len(env) != 1 || env[0] != "TOKEN=hush" {
		t.Errorf("by a variable: %v, %v", env, err)
	}
	dir := t.TempDir()
	l := lend(Want{File: "token"})
	if env, err := l.Place(dir); err != nil || len(env) != 1 || env[0] != "CREDENTIALS_DIRECTORY="+dir {
		t.Errorf("by a file: %v, %v", env, err)
	}
	if err := l.take(contract.CredentialAnswer{Secret: "anew"}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "token")); err != nil || string(text) != "anew" {
		t.Errorf("renewed: %q, %v", text, err)
	}
	l.Return()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if err := l.take(contract.CredentialAnswer{Secret: "late"}); !errors.Is(err, errOver) {
		t.Errorf("a late renewal: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("a late renewal left: %v", left)
	}
}

// Assertions are remembered only where a server wants credentials, and then no
// more than so many; those that have a loan stay.
func TestRememberedLoginsAreBounded(t *testing.T) {
	k := New(&Keeper{Log: zerolog.Nop()})
	id := contract.Identity{Subject: "alice", SessionID: "first", Expires: time.Now().Add(time.Hour)}
	if k.Believed(&id, "a"); len(k.known) != 0 {
		t.Error("remembered though no server wants any")
	}
	k.Lender(Want{})
	k.Believed(&id, "a")
	k.loans[&Loan{login: login{"first", "alice"}}] = struct{}{}
	for n := range 2 * knownLogins {
		other := contract.Identity{Subject: "s", SessionID: time.Unix(int64(n), 0).String(), Expires: id.Expires}
		k.Believed(&other, "b")
	}
	if _, there := k.known[login{"first", "alice"}]; !there || len(k.known) > knownLogins {
		t.Errorf("%d are remembered; the one with a loan: %v", len(k.known), there)
	}
}
