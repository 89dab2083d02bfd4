// Package ending ends people, clients and sessions, here and at the provider,
// and says who did it. Whoever wants an ending asks it, but the provider itself,
// which has ended its part already.
//
// What is ended here stays ended where the provider cannot be asked: the error
// says that it can still renew there. The package must never know a request.
package ending

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/keycloak"
	"gatehouse/authsvc/internal/session"
)

// Provider ends things at the identity provider.
type Provider interface {
	EndUser(ctx context.Context, subject string) error
	EndClient(ctx context.Context, subject, client string) error
	EndSession(ctx context.Context, sid string) error
	Find(ctx context.Context, who string) (subject string, err error)
	ClientName(ctx context.Context, client string) string
}

// ErrProvider says that what ended here goes on at the provider.
var ErrProvider = errors.New("it has ended here, and the provider did not end it there")

// What Find says where it found nobody. Any other error of it means that the
// provider could not be asked.
var (
	// ErrNobody says that there is no such person.
	ErrNobody = keycloak.ErrNobody
	// ErrCannotFind says that people are found by their id alone.
	ErrCannotFind = errors.New("this provider is not asked for people by name: give the subject")
)

// Ender is safe for concurrent use. Provider is nil where there is none to ask.
// What it has begun it ends, also where who asked does not wait.
type Ender struct {
	Sessions *session.Sessions
	Provider Provider
	Audit    *auditlog.Log
	Log      zerolog.Logger
}

// User ends all that a person has.
func (e *Ender) User(ctx context.Context, by, subject string) error {
	ctx, cancel := session.Whole(ctx)
	defer cancel()
	err := e.Sessions.EndUser(ctx, subject)
	if e.Provider != nil {
		err = errors.Join(err, there(e.Provider.EndUser(ctx, subject)))
	}
	return e.tell(auditlog.Line{By: by, User: subject}, err)
}

// Session ends one session of ours by its owner and id, with the provider's that
// it was made of, or what hangs on one of the provider's.
func (e *Ender) Session(ctx context.Context, by, subject, sid string) error {
	ctx, cancel := session.Whole(ctx)
	defer cancel()
	at := sid // at the provider
	if session.IsOwn(sid) {
		list, err := e.Sessions.List(ctx, subject)
		if err != nil {
			return err
		}
		at = ""
		for _, one := range list {
			if one.SID == sid {
				at = one.ProviderSID
			}
		}
		if err := e.Sessions.EndOne(ctx, subject, sid); err != nil {
			return err
		}
	}
	var err error
	if at != "" {
		err = e.Sessions.EndProvider(ctx, at, subject)
		if e.Provider != nil {
			err = errors.Join(err, there(e.Provider.EndSession(ctx, at)))
		}
	}
	return e.tell(auditlog.Line{By: by, User: subject, SID: sid}, err)
}

// Client ends what a client has of a person. Of a client that is not listed
// under them nothing has to end, and nothing is kept: a person could name any.
// Where something went wrong it stays listed, to be ended again.
func (e *Ender) Client(ctx context.Context, by, subject, client string) error {
	ctx, cancel := session.Whole(ctx)
	defer cancel()
	listed, err := e.Sessions.HasClient(ctx, subject, client)
	if err != nil || !listed {
		return err
	}
	err = e.Sessions.MarkClient(ctx, subject, client)
	if e.Provider != nil {
		err = errors.Join(err, there(e.Provider.EndClient(ctx, subject, client)))
	}
	if err == nil {
		err = e.Sessions.UnlistClient(ctx, subject, client)
	}
	return e.tell(auditlog.Line{By: by, User: subject, Client: client}, err)
}

// Find returns the subject of a person by user name or e-mail address, or
// ErrNobody or ErrCannotFind.
func (e *Ender) Find(ctx context.Context, who string) (string, error) {
	if e.Provider == nil {
		return "", ErrCannotFind
	}
	return e.Provider.Find(ctx, who)
}

// ClientName is what people call a client, or its id.
func (e *Ender) ClientName(ctx context.Context, client string) string {
	if e.Provider == nil {
		return client
	}
	return e.Provider.ClientName(ctx, client)
}

func there(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrProvider, err)
}

func (e *Ender) tell(line auditlog.Line, err error) error {
	line.Event = "ended"
	if err != nil {
		line.Error = err.Error()
	}
	e.Audit.Write(line)
	e.Log.Info().Err(err).Str("by", line.By).Str("ended_user", line.User).Str("sid", line.SID).Str("client",
		line.Client).Msg("ended")
	return err
}
