// Package keycloak asks a Keycloak what only its admin API knows: it ends what
// a person or a client has there, offline sessions included, finds a person by
// name, and hears what ends there without a back-channel, by the realm's events.
//
// It acts as the gate's own client, with the roles manage-users, view-clients
// and view-events of realm-management. It must never know a session of ours.
package keycloak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	callLimit  = 8 * time.Second
	answerMost = 4 << 20
	tokenEarly = 10 * time.Second // a token is renewed so long before its end
)

// Errors. ErrForbidden says that the gate's client lacks a role, ErrNobody that
// there is no such person.
var (
	ErrForbidden = errors.New("keycloak does not let the gate's client do this: give its service account the roles " +
		"manage-users, view-clients and view-events of realm-management (deploy/keycloak/apply.sh does)")
	ErrNobody = errors.New("no such person")
)

// Admin is safe for concurrent use.
type Admin struct {
	realm  string // https://.../realms/NAME, where this process reaches it
	admin  string // https://.../admin/realms/NAME
	id     string
	secret func() string
	client *http.Client
	now    func() time.Time

	flight singleflight.Group // of the token

	mu    sync.Mutex
	token string
	self  string // the subject of the service account
	until time.Time
	names map[string]called // of clients, by their ids
}

// New returns nil where the issuer is no realm of a Keycloak.
func New(issuer, clientID string, secret func() string, now func() time.Time) *Admin {
	server, name, ok := strings.Cut(issuer, "/realms/")
	if !ok {
		return nil
	}
	return &Admin{
		realm: issuer, admin: server + "/admin/realms/" + name, id: clientID, secret: secret, now: now,
		client: &http.Client{Timeout: callLimit},
	}
}

// EndUser ends all sessions of a person, and what renews without one.
func (a *Admin) EndUser(ctx context.Context, subject string) error {
	user := "/users/" + url.PathEscape(subject)
	err := a.call(ctx, http.MethodPost, user+"/logout", nil)
	if errors.Is(err, ErrNobody) {
		return nil // deleted: nothing of it renews
	}
	clients, listErr := a.offline(ctx, subject)
	errs := []error{err, listErr}
	for _, client := range clients {
		errs = append(errs, a.EndClient(ctx, subject, client))
	}
	return errors.Join(errs...)
}

// offline are the clients that hold offline tokens of a person.
func (a *Admin) offline(ctx context.Context, subject string) (clients []string, err error) {
	var consents []struct {
		ClientID string
		Grants   []struct{ Key string } `json:"additionalGrants"`
	}
	if err := a.call(ctx, http.MethodGet, "/users/"+url.PathEscape(subject)+"/consents", &consents); err != nil {
		return nil, err
	}
	for _, c := range consents {
		if slices.ContainsFunc(c.Grants, func(g struct{ Key string }) bool { return strings.Contains(g.Key, "ffline") }) {
			clients = append(clients, c.ClientID)
		}
	}
	return clients, nil
}

// EndClient takes back what a person has granted to a client: its consent, its
// sessions and its offline tokens.
func (a *Admin) EndClient(ctx context.Context, subject, client string) error {
	err := a.call(ctx, http.MethodDelete, "/users/"+url.PathEscape(subject)+"/consents/"+url.PathEscape(client), nil)
	if errors.Is(err, ErrNobody) {
		return nil // nothing was granted
	}
	return err
}

// EndSession ends one session of the provider.
func (a *Admin) EndSession(ctx context.Context, sid string) error {
	var errs []error
	for _, kind := range []string{"", "?isOffline=true"} {
		if err := a.call(ctx, http.MethodDelete, "/sessions/"+url.PathEscape(sid)+kind, nil); !errors.Is(err, ErrNobody) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Find returns the subject of a person by user name or e-mail address.
func (a *Admin) Find(ctx context.Context, who string) (subject string, err error) {
	for _, by := range []string{"username", "email"} {
		var found []struct{ ID string }
		if err := a.call(ctx, http.MethodGet, "/users?exact=true&max=2&"+by+"="+url.QueryEscape(who), &found); err != nil {
			return "", err
		}
		if len(found) == 1 {
			return found[0].ID, nil
		}
	}
	return "", fmt.Errorf("%w: %q is neither a user name nor the e-mail address of one person", ErrNobody, who)
}

// isPlain reports whether each part of a path stays one. A form can name a client
// "..", which escapes to itself (RFC 3986, section 2.3), and a proxy in front of
// Keycloak would take the part before it away: of "this grant of the person"
// remains the person.
func isPlain(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

func (a *Admin) call(ctx context.Context, method, path string, out any) error {
	if !isPlain(path) {
		return fmt.Errorf("%w (%s %s)", ErrNobody, method, path)
	}
	body, status, err := a.ask(ctx, method, path)
	if err == nil && status == http.StatusUnauthorized {
		a.forget() // Keycloak's keys were changed, or all of the realm was signed out
		body, status, err = a.ask(ctx, method, path)
	}
	switch {
	case err != nil:
		return err
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		a.forget()
		return fmt.Errorf("%w (%s %s)", ErrForbidden, method, path)
	case status == http.StatusNotFound:
		return fmt.Errorf("%w (%s %s)", ErrNobody, method, path)
	case status/100 != 2:
		return fmt.Errorf("keycloak answered %d to %s %s", status, method, path)
	case out == nil:
		return nil
	}
	return json.Unmarshal(body, out)
}

func (a *Admin) ask(ctx context.Context, method, path string) (body []byte, status int, err error) {
	token, err := a.access(ctx)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, a.admin+path, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return a.do(req)
}

// access is a token of the gate's own client. All who need a new one share one
// call for it, and each waits for that as long as its own context lets it.
func (a *Admin) access(ctx context.Context) (string, error) {
	if token, ok := a.held(); ok {
		return token, nil
	}
	result := a.flight.DoChan("token", func() (any, error) {
		if token, ok := a.held(); ok { // it came while this one set out
			return token, nil
		}
		return a.renew(context.WithoutCancel(ctx)) // the HTTP client has a limit of its own
	})
	select {
	case r := <-result:
		token, _ := r.Val.(string)
		return token, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (a *Admin) held() (token string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token, a.now().Before(a.until)
}

// own is the subject of the service account, "" before its first token.
func (a *Admin) own() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.self
}

func (a *Admin) renew(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.realm+"/protocol/openid-connect/token",
		strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(a.id), url.QueryEscape(a.secret()))
	body, status, err := a.do(req)
	if err != nil {
		return "", err
	}
	var got struct {
		Token string `json:"access_token"`
		Life  int    `json:"expires_in"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &got) != nil || got.Token == "" {
		return "", fmt.Errorf("%w (status %d from the token endpoint)", ErrForbidden, status)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token, a.until = got.Token, a.now().Add(time.Duration(got.Life)*time.Second-tokenEarly)
	a.self = subjectOf(got.Token)
	return a.token, nil
}

func (a *Admin) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = time.Time{}
}

func (a *Admin) do(req *http.Request) ([]byte, int, error) {
	res, err := a.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	var body bytes.Buffer
	_, err = io.Copy(&body, io.LimitReader(res.Body, answerMost))
	return body.Bytes(), res.StatusCode, err
}
