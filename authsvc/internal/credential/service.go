package credential

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

var (
	// ErrUnknown says that the operator has named no such credential.
	ErrUnknown = errors.New("there is no credential of this name")
	// ErrEnded says that the login has ended; it gets nothing any more.
	ErrEnded = errors.New("the login has ended")
	// ErrNoLogin is of a caller that is no person's login, such as a machine's key.
	ErrNoLogin = errors.New("the caller has no login of its own, and so no credential")
)

// Missing says that the user has not given the credential yet, or that it does
// not count any more. It does not mean that the store could not be asked.
type Missing struct {
	Entry *Entry
	Why   string
}

func (m *Missing) Error() string { return "credential " + m.Entry.Name + " is missing: " + m.Why }

// Secret is a credential in use.
type Secret struct {
	Value   string
	Expires time.Time // zero where it has no end that is known
	Watch   bool      // its user may replace it or take it away before its end
}

// String keeps a secret that is printed by mistake out of the logs.
func (Secret) String() string { return "[secret]" }

// GoString is String for %#v.
func (Secret) GoString() string { return "[secret]" }

// Provider is what is asked of the identity provider.
type Provider interface {
	// ExchangeToken trades an access token for one with another audience.
	ExchangeToken(ctx context.Context, token, audience string, scopes []string) (secret string, end time.Time, err error)
	// LinkedToken reads the token of an account that is linked there.
	LinkedToken(ctx context.Context, token, alias string) (secret string, end time.Time, err error)
}

// Ended knows which ids have ended.
type Ended interface {
	Ended(ctx context.Context, ids ...string) (map[string]time.Time, error)
}

// Service is safe for concurrent use.
type Service struct {
	Entries   []Entry
	Store     session.Store
	Box       *session.Box
	Endings   Ended
	Provider  Provider
	Refused   func(error) bool // whether an error of Provider is its no
	Client    *http.Client     // to the providers of oauth
	PublicURL string
	Audit     *auditlog.Log
	Now       func() time.Time
	Log       zerolog.Logger
}

// Find returns the entry of a name, nil for none.
func (s *Service) Find(name string) *Entry {
	i := slices.IndexFunc(s.Entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Entries[i]
}

// ConnectPath is where a user connects the entry.
func ConnectPath(name string) string { return "/account/connect/" + name }

// NeedsTokens reports whether the access tokens of logins are to be kept for
// their time.
func (s *Service) NeedsTokens() bool {
	return slices.ContainsFunc(s.Entries, func(e Entry) bool { return !e.Stored() })
}

// Ask is a question of a bridge for the credential of one caller.
type Ask struct {
	Caller contract.Identity // of an assertion that was verified
	Name   string
	Server string // that is to have it
	By     string // who asks
	Have   string // contract.CredentialMark of what it has, "" for nothing
}

// Issue returns the caller's credential. It is written down, unless it is what
// the bridge has already.
func (s *Service) Issue(ctx context.Context, ask Ask) (Secret, error) {
	e := s.Find(ask.Name)
	if e == nil {
		return Secret{}, fmt.Errorf("%w: %q; --credentials names what there is", ErrUnknown, ask.Name)
	}
	secret, err := s.issue(ctx, ask.Caller, e)
	event := "credential issued"
	switch {
	case err != nil:
		event = "credential refused"
	case ask.Have == contract.CredentialMark(secret.Value):
		return secret, nil
	case ask.Have != "":
		event = "credential renewed"
	}
	s.write(event, ask.Caller, e, func(l *auditlog.Line) {
		l.By, l.Server = ask.By, ask.Server
		if err != nil {
			l.Why = err.Error()
		}
	})
	return secret, err
}

// hasLogin is false for machines: of client credentials, or with a key of the gate.
func hasLogin(who contract.Identity) bool {
	return who.SessionID != "" && !contract.IsKeySession(who.SessionID)
}

func (s *Service) issue(ctx context.Context, who contract.Identity, e *Entry) (Secret, error) {
	if !hasLogin(who) {
		return Secret{}, ErrNoLogin
	}
	ended, err := s.Endings.Ended(ctx, who.SessionID)
	if err != nil {
		return Secret{}, err
	}
	if len(ended) > 0 || !s.Now().Before(who.Expires) {
		return Secret{}, ErrEnded
	}
	var secret Secret
	if e.Stored() {
		secret, err = s.stored(ctx, who.Subject, e)
	} else {
		secret, err = s.fromLogin(ctx, who, e)
	}
	if err != nil {
		return Secret{}, err
	}
	if err := contract.CheckSecret(secret.Value); err != nil {
		return Secret{}, err
	}
	return secret, nil
}

// stored is a credential that lies in the store, renewed where it is due.
func (s *Service) stored(ctx context.Context, subject string, e *Entry) (Secret, error) {
	raw, r, err := s.load(ctx, subject, e)
	if err != nil {
		return Secret{}, err
	}
	if r == nil {
		return Secret{}, &Missing{e, "the user has not connected it"}
	}
	if e.Kind == OAuth && r.due(s.Now()) {
		if r, err = s.renewed(ctx, subject, e, raw, r); err != nil {
			return Secret{}, err
		}
	} else {
		s.touch(ctx, subject, e, raw, r)
	}
	return Secret{Value: r.Secret, Expires: r.Expires, Watch: true}, nil
}

func (s *Service) write(event string, who contract.Identity, e *Entry, more func(*auditlog.Line)) {
	line := auditlog.Line{Event: event, User: who.Subject, Email: who.Email, SID: who.SessionID, Credential: e.Name}
	if more != nil {
		more(&line)
	}
	s.Audit.Write(line)
}
