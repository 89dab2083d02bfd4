package credential

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

// ErrSecret says that what the user entered cannot be a secret.
var ErrSecret = errors.New("want one line of text, 16 KB at most")

// Enter keeps the secret that a user gave.
func (s *Service) Enter(ctx context.Context, who contract.Identity, e *Entry, secret string) error {
	secret = strings.TrimSpace(secret)
	if contract.CheckSecret(secret) != nil {
		return ErrSecret
	}
	now := s.Now()
	return s.connected(ctx, who, e, &record{Secret: secret, Since: now, Used: now})
}

// connected stores a record and writes it down.
func (s *Service) connected(ctx context.Context, who contract.Identity, e *Entry, r *record) error {
	if err := s.save(ctx, who.Subject, e, r); err != nil {
		return err
	}
	if err := s.list(ctx, who, e, r.Since); err != nil {
		return err
	}
	s.write("credential connected", who, e, nil)
	return nil
}

// Disconnect forgets a user's credential, and takes it back where it came from.
// by is who asked for it. What the provider did not take back is returned as
// ErrRevoke: here it is gone all the same. Once it is gone the rest is done
// whatever fails and whoever leaves, for the next try finds nothing to take back.
func (s *Service) Disconnect(ctx context.Context, by, subject string, e *Entry) error {
	ctx, cancel := session.Whole(ctx)
	defer cancel()
	r, err := s.take(ctx, subject, e)
	if err != nil {
		return err
	}
	if r != nil {
		err = s.revoke(ctx, e, r)
	}
	err = errors.Join(err, s.unlist(ctx, subject, e))
	s.write("credential deleted", contract.Identity{Subject: subject}, e, func(l *auditlog.Line) {
		l.By = by
		if err != nil {
			l.Error = err.Error()
		}
	})
	return err
}

// State is what a user sees of a credential: never its value.
type State struct {
	Entry     *Entry
	Connected bool // meaningful where Entry.Stored
	Since     time.Time
	Expires   time.Time // zero where it has no end that is known
	Renews    bool      // it is renewed without its user
	Scopes    []Scope
}

// Scope is one permission, in plain words where the operator gave them.
type Scope struct{ Name, Meaning string }

// States are the user's credentials, in the order of the labels.
func (s *Service) States(ctx context.Context, subject string) ([]State, error) {
	if len(s.Entries) == 0 {
		return nil, nil
	}
	keys := make([]string, len(s.Entries))
	for i := range s.Entries {
		keys[i] = s.name(kindRecord, subject, s.Entries[i].Name)
	}
	values, err := s.Store.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	states := make([]State, 0, len(keys))
	for i := range s.Entries {
		e := &s.Entries[i]
		state := State{Entry: e, Scopes: e.scopes(e.Scopes)}
		if values[i] != nil {
			if r := s.open(keys[i], values[i]); r != nil {
				state.Connected, state.Since, state.Expires, state.Renews = true, r.Since, r.Expires, r.Refresh != ""
				if len(r.Scopes) > 0 {
					state.Scopes = e.scopes(r.Scopes)
				}
			}
		}
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b State) int {
		return cmp.Or(cmp.Compare(a.Entry.Label, b.Entry.Label), cmp.Compare(a.Entry.Name, b.Entry.Name))
	})
	return states, nil
}

func (e *Entry) scopes(names []string) []Scope {
	all := make([]Scope, 0, len(names))
	for _, name := range names {
		all = append(all, Scope{name, e.Meaning[name]})
	}
	return all
}
