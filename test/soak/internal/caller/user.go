package caller

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/test/stack"
)

// User is a person with a token that is renewed, and a browser's cookie.
type User struct {
	Name  string
	Email string
	ID    string // at Keycloak

	gate *stack.Stack
	mu   sync.Mutex
	have stack.Tokens
	got  time.Time
	jar  http.CookieJar // nil: a program with a token
	in   bool           // the jar holds a session
}

// NewUser makes the user at Keycloak, or takes the one that is there. browser
// says that it calls with a cookie in place of a token.
func NewUser(ctx context.Context, gate *stack.Stack, name string, browser bool) (*User, error) {
	u := &User{Name: name, Email: name + "@example.com", gate: gate}
	if err := gate.AddUser(ctx, name); err != nil {
		return nil, err
	}
	var found []struct {
		ID string `json:"id"`
	}
	if err := gate.Admin(ctx, http.MethodGet, "/users?exact=true&username="+name, nil, &found); err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("keycloak knows %d users %s", len(found), name)
	}
	u.ID = found[0].ID
	if browser {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, err
		}
		u.jar = jar
	}
	return u, nil
}

// Logout ends all sessions of the user at Keycloak, as its administrator does.
func (u *User) Logout(ctx context.Context) error {
	return u.gate.Admin(ctx, http.MethodPost, "/users/"+u.ID+"/logout", nil, nil)
}

// Stale says that the gate did not take what the user shows.
func (u *User) Stale() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.have, u.in = stack.Tokens{}, false
}

// Ready gets what the user shows at the gate, where there is none yet.
func (u *User) Ready(ctx context.Context) error {
	if u.jar == nil {
		_, err := u.token(ctx)
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.in {
		return nil
	}
	if err := u.signIn(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNoToken, err)
	}
	u.in = true
	return nil
}

const keycloakTime = 5 * time.Second

// token is one that lives, renewed in the last quarter of its life. While
// Keycloak is away the old one goes on to its end.
func (u *User) token(ctx context.Context) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	life := time.Duration(u.have.Life) * time.Second
	age := time.Since(u.got)
	if age < life*3/4 {
		return u.have.Access, nil
	}
	ctx, cancel := context.WithTimeout(ctx, keycloakTime)
	defer cancel()
	got, err := u.gate.Grant(ctx, u.gate.Issuer, url.Values{
		"grant_type": {"refresh_token"}, "client_id": {"mcp-cli"}, "refresh_token": {u.have.Refresh},
	})
	if u.have.Refresh == "" || err != nil {
		got, err = u.gate.Tokens(ctx, u.Name, "openid")
	}
	switch {
	case err == nil:
		u.have, u.got = got, time.Now()
	case age >= life:
		return "", fmt.Errorf("%w: %w", ErrNoToken, err)
	}
	return u.have.Access, nil
}

// client is the HTTP of one caller, at an address of its own: nginx counts each
// address by itself.
func (u *User) client(number int, refused *atomic.Int32) *http.Client {
	c := u.gate.HTTPClientFrom(net.IPv4(127, 2, byte(number>>8), byte(number)))
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar = u.jar
	c.Transport = shown{next: c.Transport, user: u, refused: refused}
	return c
}

// shown shows the user's token, where it has no cookie, and hears that neither
// is good any more: the official client does not tell.
type shown struct {
	next    http.RoundTripper
	user    *User
	refused *atomic.Int32 // the last status of a refusal
}

func (s shown) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.user.jar == nil {
		token, err := s.user.token(r.Context())
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.next.RoundTrip(r)
	if err == nil && res.StatusCode >= http.StatusBadRequest {
		s.refused.Store(int32(res.StatusCode)) //nolint:gosec // of three digits
	}
	if err == nil && res.StatusCode == http.StatusUnauthorized {
		s.user.Stale()
	}
	return res, err
}

func (s shown) CloseIdleConnections() {
	if c, ok := s.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

var formAction = regexp.MustCompile(`action="([^"]+)"`)

// signIn goes the browser's way: login, Keycloak's form, callback.
func (u *User) signIn(ctx context.Context) error {
	c := u.gate.HTTPClientFrom(net.IPv4(127, 3, 0, 1))
	c.Jar = u.jar
	defer c.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 2*keycloakTime)
	defer cancel()
	send := func(method, at string, form url.Values) (*http.Response, string, error) {
		req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, "", err
		}
		req.Header.Set("Accept", "text/html")
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := c.Do(req)
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(res.Body, mostOfAnswer))
		return res, string(body), err
	}
	res, page, err := send(http.MethodGet, u.gate.URL+"/login?return_to=/account", nil)
	if err != nil {
		return err
	}
	form := formAction.FindStringSubmatch(page)
	if form != nil && !strings.HasPrefix(res.Request.URL.String(), u.gate.URL) {
		res, _, err = send(http.MethodPost, html.UnescapeString(form[1]),
			url.Values{"username": {u.Name}, "password": {stack.Password(u.Name)}})
		if err != nil {
			return err
		}
	}
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Request.URL.String(), u.gate.URL+"/account") {
		return fmt.Errorf("sign in as %s: %s at %s", u.Name, res.Status, res.Request.URL.Path)
	}
	return nil
}
