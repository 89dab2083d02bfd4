package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

const (
	knownLogins = 16384 // whose assertion is remembered beside those that have a loan
	fetchLimit  = 10 * time.Second
	watchEvery  = 30 * time.Second // a credential that its user may replace is looked at
	retryEvery  = 5 * time.Second
	lookEvery   = time.Second
	fetches     = 8 // renewals at once
)

var (
	errOver  = errors.New("the login has ended, or has no credential")
	errStale = errors.New("authsvc waits for the next request of this login")
)

// Want is what the children of one server get.
type Want struct {
	Server string
	From   string // the name at authsvc
	File   string // in the folder of the child alone, or
	Env    string // a variable
	Unlent bool   // a child starts without it, and its calls wait
}

// Keeper lends credentials. It is safe for concurrent use.
type Keeper struct {
	URL    string
	Client *http.Client
	Audit  *audit.Sink // may be nil
	Log    zerolog.Logger

	mu    sync.Mutex
	lends bool // some server wants it; else nothing is remembered
	known map[login]shown
	loans map[*Loan]struct{}
}

type login struct{ sid, subject string }

// shown is the newest assertion of a login.
type shown struct {
	assertion string
	end       time.Time // of the login, as far as it says
}

// New makes a keeper. Run must run for it to renew.
func New(k *Keeper) *Keeper {
	k.known, k.loans = map[login]shown{}, map[*Loan]struct{}{}
	return k
}

// Believed remembers an assertion that was verified: by it the credential of
// its login is fetched.
func (k *Keeper) Believed(id *contract.Identity, assertion string) {
	if id.SessionID == "" || contract.IsKeySession(id.SessionID) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.lends {
		return
	}
	if len(k.known) >= knownLogins {
		k.forget()
	}
	k.known[login{id.SessionID, id.Subject}] = shown{assertion, id.Expires}
}

// forget makes room: first of what has ended, then of what has no loan. The
// lock is held.
func (k *Keeper) forget() {
	lent := map[login]bool{}
	for l := range k.loans {
		lent[l.login] = true
	}
	now := time.Now()
	for who, s := range k.known {
		if now.After(s.end) {
			delete(k.known, who)
		}
	}
	for who := range k.known {
		if len(k.known) < knownLogins/2 {
			return
		}
		if !lent[who] {
			delete(k.known, who)
		}
	}
}

// Lender lends to the children of one server.
func (k *Keeper) Lender(want Want) fleet.Lend {
	k.mu.Lock()
	k.lends = true
	k.mu.Unlock()
	return func(ctx context.Context, owner *contract.Identity) (fleet.Loan, error) {
		l, err := k.lend(ctx, owner, want)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
}

func (k *Keeper) lend(ctx context.Context, owner *contract.Identity, want Want) (*Loan, error) {
	l := &Loan{keeper: k, want: want, login: login{owner.SessionID, owner.Subject}, email: owner.Email}
	answer, err := k.fetch(ctx, l, "")
	switch {
	case err != nil:
		return nil, k.refusal(l, err)
	case answer.Missing != nil && !want.Unlent:
		l.write("missing")
		return nil, &mux.MissingError{Label: answer.Missing.Label, Connect: answer.Missing.Connect}
	}
	if err := l.take(answer); err != nil {
		return nil, k.refusal(l, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loans[l] = struct{}{}
	return l, nil
}

// refusal is what the caller is told; the log says why.
func (k *Keeper) refusal(l *Loan, err error) error {
	k.Log.Warn().Err(err).Str("server", l.want.Server).Str("credential", l.want.From).Msg("no credential was had")
	reason := "the credential that this server needs cannot be had now"
	if errors.Is(err, errOver) {
		reason = "the login has ended, or is none that can have a credential for this server"
	}
	return &mux.Refusal{Reason: reason, Retry: retryEvery}
}

// fetch asks authsvc. have is the mark of what the child has already.
func (k *Keeper) fetch(ctx context.Context, l *Loan, have string) (a contract.CredentialAnswer, err error) {
	k.mu.Lock()
	by, ok := k.known[l.login]
	k.mu.Unlock()
	if !ok {
		return a, errOver // without a login, or it showed nothing for very long
	}
	body, err := json.Marshal(contract.CredentialRequest{
		Assertion: by.assertion, Name: l.want.From, Server: l.want.Server, Have: have,
	})
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.URL, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := k.Client.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK:
		return contract.ReadCredentialAnswer(res.Body)
	case http.StatusForbidden:
		return a, errOver
	case http.StatusConflict:
		return a, errStale
	case http.StatusNotFound:
		return a, fmt.Errorf("authsvc knows no credential %q (its --credentials)", l.want.From)
	}
	return a, fmt.Errorf("%s answered %s", k.URL, res.Status)
}

// End takes back what was lent to logins that have ended.
func (k *Keeper) End(sids []string) {
	over := make(map[string]bool, len(sids))
	for _, sid := range sids {
		over[sid] = true
	}
	k.mu.Lock()
	var ended []*Loan
	for l := range k.loans {
		if over[l.login.sid] {
			ended = append(ended, l)
		}
	}
	for who := range k.known {
		if over[who.sid] {
			delete(k.known, who)
		}
	}
	k.mu.Unlock()
	for _, l := range ended {
		l.end("the login has ended")
	}
}

// Run renews until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	free := make(chan struct{}, fetches)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, l := range k.due(now) {
				free <- struct{}{}
				running.Go(func() {
					defer func() { <-free }()
					l.renew(ctx)
				})
			}
		}
	}
}

func (k *Keeper) due(now time.Time) (due []*Loan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for l := range k.loans {
		if l.isDue(now) {
			due = append(due, l)
		}
	}
	return due
}

func (k *Keeper) gone(l *Loan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.loans, l)
}
