package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Admin calls Keycloak's admin API, /admin/realms/gatehouse + path. body and
// out are JSON values, nil for none.
func (s *Stack) Admin(ctx context.Context, method, path string, body, out any) error {
	server, realm, _ := strings.Cut(s.Issuer, "/realms/")
	return s.admin(ctx, method, server+"/admin/realms/"+realm+path, body, out)
}

// AdminServer calls Keycloak's admin API, /admin + path: other realms.
func (s *Stack) AdminServer(ctx context.Context, method, path string, body, out any) error {
	server, _, _ := strings.Cut(s.Issuer, "/realms/")
	return s.admin(ctx, method, server+"/admin"+path, body, out)
}

func (s *Stack) admin(ctx context.Context, method, address string, body, out any) error {
	server, _, _ := strings.Cut(s.Issuer, "/realms/")
	login, err := s.Grant(ctx, server+"/realms/master", url.Values{
		"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {"admin"}, "password": {s.adminPassword},
	})
	if err != nil {
		return fmt.Errorf("keycloak's admin: %w", err)
	}
	var send io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, send)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+login.Access)
	req.Header.Set("Content-Type", "application/json")
	return s.exchange(req, out)
}

// Tokens of a token endpoint's answer.
type Tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Life    int    `json:"expires_in"` // seconds
}

// Grant asks the token endpoint of an issuer.
func (s *Stack) Grant(ctx context.Context, issuer string, form url.Values) (t Tokens, err error) {
	req, err := http.NewRequestWithContext(
		ctx,
		http.MethodPost,
		issuer+"/protocol/openid-connect/token",
		strings.NewReader(form.Encode()),
	)
	if err != nil {
		return t, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return t, s.exchange(req, &t)
}

// Token gets an access token of a sample user for the client mcp-cli. Only the
// local realm allows this grant.
func (s *Stack) Token(ctx context.Context, user string) (string, error) {
	t, err := s.Tokens(ctx, user, "openid")
	return t.Access, err
}

// LoginLimit is for how long a login that Keycloak refuses is tried again. Its
// protection against guessing takes a user for locked out while another login of
// the same user is under way, and for a moment after. A busy machine makes both long.
const LoginLimit = 30 * time.Second

// Login is Grant for a user's name and password, again while Keycloak refuses them.
func (s *Stack) Login(ctx context.Context, form url.Values) (t Tokens, err error) {
	for end := time.Now().Add(LoginLimit); ; <-time.After(100 * time.Millisecond) {
		t, err = s.Grant(ctx, s.Issuer, form)
		if err == nil || !strings.Contains(err.Error(), "Invalid user credentials") || time.Now().After(end) {
			return t, err
		}
	}
}

// Tokens gets all tokens of a sample user for the client mcp-cli.
func (s *Stack) Tokens(ctx context.Context, user, scope string) (t Tokens, err error) {
	t, err = s.Login(ctx, url.Values{
		"grant_type": {"password"}, "client_id": {"mcp-cli"}, "scope": {scope},
		"username": {user}, "password": {Password(user)},
	})
	if err != nil {
		return t, fmt.Errorf("tokens of %s: %w", user, err)
	}
	return t, nil
}

// exchange sends the request to Keycloak and reads the JSON of a 2xx.
func (s *Stack) exchange(req *http.Request, out any) error {
	ctx, cancel := context.WithTimeout(req.Context(), time.Minute) // a new realm takes a busy machine its time
	defer cancel()
	res, err := s.http.Do(req.WithContext(ctx))
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s%s", req.Method, req.URL.Path, res.Status, reason(body))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// reason is what Keycloak says of an error, after a colon; "" where it says
// nothing. RFC 6749 section 5.2 has the first two, its admin API the last.
func reason(body []byte) string {
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Message     string `json:"errorMessage"`
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	text := ""
	for _, part := range []string{said.Error, said.Description, said.Message} {
		if part != "" {
			text += ": " + part
		}
	}
	return text
}
