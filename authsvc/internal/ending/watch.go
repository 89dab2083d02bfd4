package ending

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/keycloak"
	"gatehouse/authsvc/internal/session"
)

const (
	leaseKey  = "watch-lease"
	cursorKey = "watch-cursor"
	// keptFor is how long the shipped realm keeps its events: after an outage they
	// are read from where it began, so far back. The cursor lives longer, to tell a
	// gap from a gate that has never looked.
	keptFor   = 7 * 24 * time.Hour
	cursorAge = 90 * 24 * time.Hour
	// overlap is read again: an event is stored when its transaction ends and bears
	// the time at which it began, by a clock that may be behind.
	overlap  = time.Minute
	refused  = time.Minute // before a Keycloak that says no is asked again
	savedFor = time.Minute // is believed that Keycloak saves its events
	askLimit = 10 * time.Second
)

// Watch hears what ends at the provider without a back-channel, and ends it
// here. One replica asks for all of them, one question each Every, however many
// clients there are.
type Watch struct {
	Events interface {
		Endings(ctx context.Context, since time.Time, known func(id string) bool) (
			all []keycloak.Ending, until time.Time, err error)
		Saved(ctx context.Context) error
	}
	Sessions *session.Sessions
	Store    session.Store
	Every    time.Duration
	Now      func() time.Time
	Audit    *auditlog.Log
	Log      zerolog.Logger

	looked time.Time // whether the provider saves what is read
	read   time.Time // when this replica last read
}

// cursor is up to where the events were read, and which of the last ones, with
// their times.
type cursor struct {
	At   time.Time            `json:"at"`
	Seen map[string]time.Time `json:"seen"`
}

// Run asks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	me := session.NewSecret()
	for {
		wait := w.Every
		if err := w.once(ctx, me[:]); err != nil && ctx.Err() == nil {
			w.Log.Warn().Err(err).Msg("sign-outs of clients that registered themselves are not heard from the provider")
			wait = min(refused, 5*w.Every)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// once asks, where no other replica did a moment ago.
func (w *Watch) once(ctx context.Context, me []byte) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	won, err := w.Store.Swap(ctx, leaseKey, nil, me, w.Every*9/10)
	if err != nil || !won {
		return err
	}
	w.look(ctx)
	values, err := w.Store.Get(ctx, cursorKey)
	if err != nil {
		return err
	}
	begun, first := w.Now(), values[0] == nil
	last := cursor{At: begun}
	if !first {
		if err := json.Unmarshal(values[0], &last); err != nil {
			return err
		}
	}
	known := func(id string) bool { _, ok := last.Seen[id]; return ok }
	found, until, err := w.Events.Endings(ctx, last.At.Add(-overlap), known)
	if err != nil {
		return err
	}
	next := last.after(begun, found)
	if !until.IsZero() && !first { // the rest at the next look
		next = last.after(until, found)
	}
	for _, e := range found {
		if first {
			break // they are of before this gate's first look
		}
		if err := w.end(ctx, e); err != nil {
			return err // all of them again at the next look
		}
	}
	text, err := json.Marshal(next)
	if err != nil || bytes.Equal(text, values[0]) {
		return err
	}
	if ok, err := w.Store.Swap(ctx, cursorKey, values[0], text, cursorAge); err != nil || !ok {
		return err
	}
	w.tellMissed(first, last.At, begun)
	w.read = begun
	return nil
}

// after is the cursor behind what was found.
func (c cursor) after(at time.Time, found []keycloak.Ending) cursor {
	next := cursor{At: at, Seen: map[string]time.Time{}}
	for id, seen := range c.Seen {
		if at.Sub(seen) < 2*overlap { // else its time is not read again
			next.Seen[id] = seen
		}
	}
	for _, e := range found {
		next.Seen[e.ID] = e.Time
	}
	return next
}

// tellMissed says of which time endings may never be heard. How long a realm
// keeps its events is the realm's to say, and a store that was emptied tells no
// new replica that there was a look before: this one knows its own.
func (w *Watch) tellMissed(first bool, last, now time.Time) {
	switch {
	case !first && now.Sub(last) > keptFor:
		w.Log.Warn().Time("from", last).Time("to", now.Add(-keptFor)).Msg(
			"the provider's events were not read for longer than the shipped realm keeps them: " +
				"what ended there in between may not have been heard")
	case first && !w.read.IsZero():
		w.Log.Warn().Time("from", w.read).Time("to", now).Msg(
			"the store has lost how far the provider's events were read: what ended there in between may not have been heard")
	case first:
		w.Log.Info().Msg("the provider's events are read from now on: the store tells of no look before")
	}
}

// look warns where the provider saves nothing that could be read: silence would
// be taken for nobody signing out.
func (w *Watch) look(ctx context.Context) {
	if w.Now().Sub(w.looked) < savedFor {
		return
	}
	w.looked = w.Now()
	if err := w.Events.Saved(ctx); err != nil && ctx.Err() == nil {
		w.Log.Warn().Err(err).Msg("sign-outs of clients that registered themselves may not be heard from the provider")
	}
}

func (w *Watch) end(ctx context.Context, e keycloak.Ending) (err error) {
	switch {
	case e.SID == "" && e.Subject == "":
		return nil // it ended nothing
	case e.Client != "":
		err = w.Sessions.EndClient(ctx, e.Subject, e.Client)
	case e.SID != "":
		err = w.Sessions.EndProvider(ctx, e.SID, e.Subject)
	default:
		err = w.Sessions.EndUser(ctx, e.Subject)
	}
	w.Audit.Write(auditlog.Line{Event: "ended", By: "the provider", User: e.Subject, SID: e.SID, Client: e.Client})
	w.Log.Info().Err(err).Str("ended_user", e.Subject).Str("sid", e.SID).Str("client",
		e.Client).Msg("ended at the provider")
	return err
}
