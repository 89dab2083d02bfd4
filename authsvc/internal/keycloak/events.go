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

// maxEvents is how many are read at once: Keycloak has the newest first.
const maxEvents = 500

// Endings returns what ended since then, the oldest first, without the events
// that are known; one that ended nothing has only an ID. Clients that
// registered themselves have no back-channel: what Keycloak's console, a
// person's own account page or a disabled user end for them stands only there.
func (a *Admin) Endings(ctx context.Context, since time.Time, known func(id string) bool) ([]Ending, error) {
	people, err := a.userEvents(ctx, since, known)
	if err != nil {
		return nil, err
	}
	admins, err := a.adminEvents(ctx, since, known)
	if err != nil {
		return nil, err
	}
	all := append(people, admins...)
	slices.SortFunc(all, func(x, y Ending) int { return x.Time.Compare(y.Time) })
	return all, nil
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

func (a *Admin) userEvents(ctx context.Context, since time.Time, known func(string) bool) (all []Ending, err error) {
	var events []struct {
		ID, Type, UserID, SessionID string
		Time                        int64
		Details                     map[string]string
	}
	path := fmt.Sprintf("/events?type=LOGOUT&type=REVOKE_GRANT&max=%d&dateFrom=%d", maxEvents, since.UnixMilli())
	if err := a.call(ctx, http.MethodGet, path, &events); err != nil {
		return nil, err
	}
	for _, e := range events {
		one := Ending{Time: time.UnixMilli(e.Time), Subject: e.UserID}
		switch e.Type {
		case "REVOKE_GRANT":
			one.Client = e.Details["revoked_client"]
		default:
			one.SID = e.SessionID
		}
		one.ID = cmp.Or(e.ID, fmt.Sprint(e.Time, e.Type, e.UserID, e.SessionID))
		if (one.SID != "" || one.Client != "") && !known(one.ID) {
			all = append(all, one)
		}
	}
	return all, nil
}

func (a *Admin) adminEvents(ctx context.Context, since time.Time, known func(string) bool) (all []Ending, err error) {
	var events []struct {
		ID, OperationType, ResourcePath string
		Time                            int64
		AuthDetails                     struct{ UserID string }
	}
	path := fmt.Sprintf(
		"/admin-events?operationTypes=ACTION&operationTypes=DELETE&operationTypes=UPDATE&max=%d&dateFrom=%d",
		maxEvents,
		since.UnixMilli(),
	)
	if err := a.call(ctx, http.MethodGet, path, &events); err != nil {
		return nil, err
	}
	for _, e := range events {
		if e.AuthDetails.UserID == a.self { // what the gate itself ended
			continue
		}
		one, ok := readPath(e.OperationType, e.ResourcePath)
		one.Time, one.ID = time.UnixMilli(e.Time), cmp.Or(e.ID, fmt.Sprint(e.Time, e.OperationType, e.ResourcePath))
		if !ok || known(one.ID) {
			continue
		}
		if e.OperationType == "UPDATE" {
			enabled, err := a.enabled(ctx, one.Subject)
			if err != nil && !errors.Is(err, ErrNobody) {
				return nil, err
			}
			if enabled {
				one.Subject = ""
			}
		}
		all = append(all, one)
	}
	return all, nil
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
