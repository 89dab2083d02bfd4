package credential

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/internal/contract"
)

// Loan is the credential of one child.
type Loan struct {
	keeper *Keeper
	want   Want
	login  login
	email  string

	asking sync.Mutex // one question at a time

	mu      sync.Mutex
	dir     string         // of the child alone; "" until it is placed, and where it goes by the environment
	child   fleet.Borrower // nil until it is started
	secret  string         // "" while it is missing
	former  []former       // what it was before, and opens something yet
	expires time.Time      // zero where it has no end that is known
	watch   bool
	next    time.Time // to look again
	restart bool      // the child is to be started anew, when it is idle
	over    bool
}

var _ fleet.Loan = (*Loan)(nil)

var errNoFolder = errors.New("the child has no folder of its own for a credential")

// Place lays the credential into the folder, which it names to the child, or
// into its environment.
func (l *Loan) Place(dir string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.want.Env != "" {
		return []string{l.want.Env + "=" + l.secret}, nil
	}
	if dir == "" {
		return nil, l.keeper.refusal(l, errNoFolder)
	}
	l.dir = dir
	if l.secret != "" {
		if err := l.lay(l.secret); err != nil {
			return nil, l.keeper.refusal(l, err)
		}
	}
	return []string{"CREDENTIALS_DIRECTORY=" + dir}, nil
}

// Started names the child. A login that ended meanwhile ends it.
func (l *Loan) Started(child fleet.Borrower) {
	l.mu.Lock()
	l.child = child
	over := l.over
	l.mu.Unlock()
	if over {
		child.Stop()
	}
}

// Return takes the credential back from a child that is gone.
func (l *Loan) Return() {
	l.keeper.gone(l)
	if l.wipe() {
		l.write("returned")
	}
}

// end takes the credential back from a child that may live on for a moment.
func (l *Loan) end(why string) {
	if l.wipe() {
		l.write("ended")
	}
	l.mu.Lock()
	child := l.child
	l.mu.Unlock()
	if child != nil {
		l.keeper.Log.Info().Str("server", l.want.Server).Str("credential", l.want.From).Str("why", why).
			Msg("a child is stopped, for its credential has ended")
		child.Stop()
	}
}

// wipe deletes what was lent, once: nothing is lent on this loan any more.
func (l *Loan) wipe() (had bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	had = !l.over && l.secret != ""
	l.keep(l.secret, time.Time{}) // the child may say it with its last words
	l.over, l.secret = true, ""
	if l.dir != "" {
		if err := os.Remove(l.path()); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.keeper.Log.Error().Err(err).Msg("a child's credential was not deleted")
		}
	}
	return had
}

func (l *Loan) path() string { return filepath.Join(l.dir, l.want.File) }

// take gives the child what authsvc answered.
func (l *Loan) take(a contract.CredentialAnswer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return errOver
	}
	now := time.Now()
	if a.Missing != nil {
		l.next = now.Add(watchEvery)
		return nil
	}
	before := l.secret
	if before != a.Secret {
		l.keep(before, l.expires)
	}
	l.secret, l.expires, l.watch = a.Secret, time.Time{}, a.Watch
	if a.Expires != nil {
		l.expires = *a.Expires
	}
	l.next = nextLook(now, l.expires, l.watch)
	switch {
	case before == a.Secret:
		return nil
	case l.dir != "":
		if err := l.lay(a.Secret); err != nil {
			return err
		}
	case before != "" && l.want.Env != "":
		l.secret, l.restart = before, true // the child has the old one until it ends
	}
	l.write(map[bool]string{true: "lent", false: "renewed"}[before == ""])
	return nil
}

// lay puts the secret in place in one step: a reader finds the old one or the
// new one, whole.
func (l *Loan) lay(secret string) error {
	next := l.path() + ".next"
	if err := os.WriteFile(next, []byte(secret), 0o600); err != nil {
		return err
	}
	return os.Rename(next, l.path())
}

// nextLook is when authsvc is asked again: before the end of what it gave, and
// now and then where the user may replace it.
func nextLook(now, expires time.Time, watch bool) time.Time {
	next := now.Add(24 * time.Hour)
	if watch {
		next = now.Add(watchEvery)
	}
	if !expires.IsZero() {
		lead := max(expires.Sub(now)/5, lookEvery)
		if before := expires.Add(-lead); before.Before(next) {
			next = before
		}
	}
	if least := now.Add(lookEvery); next.Before(least) {
		return least
	}
	return next
}

func (l *Loan) isDue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || now.Before(l.next) || l.child == nil {
		return false
	}
	l.next = now.Add(retryEvery) // unless what comes of this look says another time
	return true
}

// renew looks whether the child has to have another credential, or none.
func (l *Loan) renew(ctx context.Context) {
	l.asking.Lock()
	defer l.asking.Unlock()
	if l.restarts() {
		return
	}
	l.mu.Lock()
	have := ""
	if l.secret != "" {
		have = contract.CredentialMark(l.secret)
	}
	l.mu.Unlock()
	answer, err := l.keeper.fetch(ctx, l, have)
	switch {
	case errors.Is(err, errOver):
		l.end("authsvc says that the login has ended")
	case err == nil && answer.Missing != nil && have != "":
		l.end("its user has taken it back, or it cannot be renewed")
	case err == nil:
		if err := l.take(answer); err != nil && !errors.Is(err, errOver) {
			l.keeper.Log.Error().Err(err).Str("server", l.want.Server).Msg("a renewed credential was not laid down")
		}
		l.restarts()
	default:
		l.stale(err)
	}
}

// restarts ends a child that has its credential in its environment and is to
// have another: the next call starts it anew. It waits until the child is idle,
// but not beyond the end of the old one.
func (l *Loan) restarts() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.restart {
		return false
	}
	if l.child.Busy() > 0 && (l.expires.IsZero() || time.Now().Before(l.expires)) {
		l.next = time.Now().Add(lookEvery)
		return true
	}
	l.keeper.Log.Info().Str("server", l.want.Server).Str("credential", l.want.From).
		Msg("a child is stopped, for its credential was renewed: the next call starts it anew")
	l.restart = false
	l.child.Stop()
	return true
}

// stale goes on with what the child has while nobody can tell. Once that has
// ended, and only its user's next request brings another, the child ends too
// and is started anew by that.
func (l *Loan) stale(err error) {
	l.mu.Lock()
	ended := !l.expires.IsZero() && time.Now().After(l.expires)
	l.mu.Unlock()
	if errors.Is(err, errStale) {
		if ended {
			l.end("its credential has lapsed; the next call starts it anew")
		}
		return
	}
	l.keeper.Log.Warn().Err(err).Str("server", l.want.Server).Str("credential", l.want.From).Bool("lapsed", ended).
		Msg("a credential was not renewed; the child goes on with what it has")
}

// write adds a line to the audit. It must not wait for anything of the loan.
func (l *Loan) write(outcome string) {
	if l.keeper.Audit == nil {
		return
	}
	l.keeper.Audit.Write(&audit.Record{
		Time: time.Now(), Program: "bridge", User: l.login.subject, UserEmail: l.email, Server: l.want.Server,
		Method: "credential", Credential: l.want.From, Outcome: outcome,
	})
}
