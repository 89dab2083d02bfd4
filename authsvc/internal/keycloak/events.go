package keycloak

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Ending is something that ended at Keycloak: one session, all of a person, or
// what one client had of a person.
type Ending struct {
	ID           string // of the event
	Time         time.Time
	SID, Subject string
	Client       string
}

const (
	pageOfEvents = 500
	mostEvents   = 200 // of a kind that are new at one look; further ones are for the next
)

// Endings returns what ended since then, the oldest first, without the events
// that are known; one that ended nothing has only an ID and a time. Where there
// was more than one look takes, until is the time up to which all was read, else
// it is zero. Clients that registered themselves have no back-channel: what
// Keycloak's console, a person's own account page or a disabled user end for
// them stands only there.
func (a *Admin) Endings(
	ctx context.Context, since time.Time, known func(id string) bool,
) (all []Ending, until time.Time, err error) {
	people, first, err := a.userEvents(ctx, since, known)
	if err != nil {
		return nil, until, err
	}
	admins, second, err := a.adminEvents(ctx, since, known)
	if err != nil {
		return nil, until, err
	}
	all = append(people, admins...)
	slices.SortFunc(all, func(x, y Ending) int { return x.Time.Compare(y.Time) })
	if until = first; until.IsZero() || !second.IsZero() && second.Before(until) {
		until = second
	}
	return all, until, nil
}

// read takes the events of a path that are new, the oldest first. take returns
// what to make of one; nil leaves it out.
func read[T any](
	ctx context.Context, a *Admin, path string, take func(event T) *Ending,
) (all []Ending, until time.Time, err error) {
	for first := 0; ; first += pageOfEvents {
		var page []T
		at := fmt.Sprintf("%s&direction=asc&first=%d&max=%d", path, first, pageOfEvents)
		if err := a.call(ctx, http.MethodGet, at, &page); err != nil {
			return nil, until, err
		}
		for _, event := range page {
			one := take(event)
			if one == nil {
				continue
			}
			if len(all) == mostEvents {
				return all, all[len(all)-1].Time, nil
			}
			all = append(all, *one)
		}
		if len(page) < pageOfEvents {
			return all, until, nil
		}
	}
}

// ErrNotSaved says that Keycloak keeps no record of what Endings looks for.
var ErrNotSaved = errors.New("the realm does not save the events by which endings are heard")

// Saved is nil while the realm saves what Endings reads. An administrator may
// turn it off at any time, and nothing else would tell.
func (a *Admin) Saved(ctx context.Context) error {
	var config struct {
		EventsEnabled, AdminEventsEnabled bool
		EnabledEventTypes                 []string // none: all that Keycloak saves by default, these among them
	}
	if err := a.call(ctx, http.MethodGet, "/events/config", &config); err != nil {
		return err
	}
	var off []string
	for _, kind := range []string{"LOGOUT", "REVOKE_GRANT"} {
		all := len(config.EnabledEventTypes) == 0
		if !config.EventsEnabled || !all && !slices.Contains(config.EnabledEventTypes, kind) {
			off = append(off, "user event "+kind)
		}
	}
	if !config.AdminEventsEnabled {
		off = append(off, "admin events")
	}
	if len(off) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s (turn them on in Keycloak's console: Realm settings, Events)",
		ErrNotSaved, strings.Join(off, ", "))
}

// userEvent is one of a person's own acts.
type userEvent struct {
	ID, Type, UserID, SessionID string
	Time                        int64
	Details                     map[string]string
}

func (a *Admin) userEvents(
	ctx context.Context, since time.Time, known func(string) bool,
) ([]Ending, time.Time, error) {
	path := fmt.Sprintf("/events?type=LOGOUT&type=REVOKE_GRANT&dateFrom=%d", since.UnixMilli())
	return read(ctx, a, path, func(e userEvent) *Ending {
		one := Ending{Time: time.UnixMilli(e.Time), Subject: e.UserID}
		switch e.Type {
		case "REVOKE_GRANT":
			one.Client = e.Details["revoked_client"]
		default:
			one.SID = e.SessionID
		}
		one.ID = cmp.Or(e.ID, fmt.Sprint(e.Time, e.Type, e.UserID, e.SessionID))
		if one.SID == "" && one.Client == "" || known(one.ID) {
			return nil
		}
		return &one
	})
}

// adminEvent is an act of an administrator.
type adminEvent struct {
	ID, OperationType, ResourcePath string
	Time                            int64
	AuthDetails                     struct{ UserID string }
}

func (a *Admin) adminEvents(
	ctx context.Context, since time.Time, known func(string) bool,
) ([]Ending, time.Time, error) {
	path := fmt.Sprintf("/admin-events?operationTypes=ACTION&operationTypes=DELETE&operationTypes=UPDATE&dateFrom=%d",
		since.UnixMilli())
	updated := map[string]bool{} // by the event's id
	all, until, err := read(ctx, a, path, func(e adminEvent) *Ending {
		if e.AuthDetails.UserID == a.own() { // what the gate itself ended
			return nil
		}
		one, ok := readPath(e.OperationType, e.ResourcePath)
		one.Time, one.ID = time.UnixMilli(e.Time), cmp.Or(e.ID, fmt.Sprint(e.Time, e.OperationType, e.ResourcePath))
		if !ok || known(one.ID) {
			return nil
		}
		updated[one.ID] = e.OperationType == "UPDATE"
		return &one
	})
	if err != nil {
		return nil, until, err
	}
	stands := map[string]bool{} // people who may still sign in
	for i := range all {
		one := &all[i]
		if !updated[one.ID] {
			continue
		}
		enabled, asked := stands[one.Subject]
		if !asked {
			if enabled, err = a.enabled(ctx, one.Subject); err != nil && !errors.Is(err, ErrNobody) {
				return nil, until, err
			}
			stands[one.Subject] = enabled
		}
		if enabled {
			one.Subject = ""
		}
	}
	return all, until, nil
}

// readPath says what an administrator's act on a resource ends.
func readPath(operation, path string) (Ending, bool) {
	part := strings.Split(path, "/")
	switch {
	case part[0] == "sessions" && len(part) == 2 && operation == "DELETE":
		return Ending{SID: part[1]}, true
	case part[0] != "users" || len(part) < 2:
		return Ending{}, false
	case len(part) == 2 && operation != "ACTION":
		return Ending{Subject: part[1]}, true
	case len(part) == 3 && part[2] == "logout" && operation == "ACTION":
		return Ending{Subject: part[1]}, true
	case len(part) == 4 && part[2] == "consents" && operation != "UPDATE":
		return Ending{Subject: part[1], Client: part[3]}, true
	}
	return Ending{}, false
}

func (a *Admin) enabled(ctx context.Context, subject string) (bool, error) {
	var user struct{ Enabled bool }
	err := a.call(ctx, http.MethodGet, "/users/"+subject, &user)
	return user.Enabled, err
}

// subjectOf reads the subject of a token that came straight from Keycloak.
func subjectOf(token string) string {
	var claims struct {
		Sub string `json:"sub"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return ""
	}
	return claims.Sub
}
