package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"gatehouse/bridge/internal/connect/outbound"
)

// Logout revokes the tokens (RFC 7009), deletes the registrations (RFC 7592) and
// forgets all that is kept for the server. What could not be revoked or deleted
// is forgotten too, and said.
func (s *Source) Logout(ctx context.Context) error {
	return s.store.locked(ctx, func() error {
		r, err := s.store.load(ctx)
		if err != nil {
			return err
		}
		if r.Token == nil && len(r.Clients) == 0 && r.key == "" {
			return ErrSignedOut
		}
		// The tokens first: a client that is gone may revoke nothing.
		return errors.Join(s.revoke(ctx, r), s.unregister(ctx, r), s.store.remove(ctx, r))
	})
}

func (s *Source) revoke(ctx context.Context, r *record) error {
	if r.Token == nil {
		return nil
	}
	if r.Issuer.Revoke == "" {
		return errors.New("forgotten here, but the authorization server revokes nothing: the token lives to its end")
	}
	c := r.Clients[r.Issuer.Issuer]
	for hint, token := range map[string]string{"refresh_token": r.Token.Refresh, "access_token": r.Token.Access} {
		if token == "" {
			continue
		}
		form := url.Values{"token": {token}, "token_type_hint": {hint}}
		status, err := s.post(ctx, r.Issuer.Revoke, c, form)
		if err != nil {
			return fmt.Errorf("forgotten here, but not revoked: %w", err)
		}
		if status != http.StatusOK {
			return fmt.Errorf("forgotten here, but not revoked: the authorization server answered %d", status)
		}
	}
	return nil
}

// unregister deletes the clients that were registered here (RFC 7592, section
// 2.3). One that the user gave, or that has no such place, stays.
func (s *Source) unregister(ctx context.Context, r *record) error {
	var failed []error
	for name, c := range r.Clients {
		if c.Manage == "" {
			continue
		}
		if err := s.deleteClient(ctx, c); err != nil {
			failed = append(failed, fmt.Errorf("forgotten here, but the registration at %s stays: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

func (s *Source) deleteClient(ctx context.Context, c client) error {
	if c.ManageToken == "" {
		return errors.New("its registration_client_uri is not where it was registered, or no token came with it")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.Manage, nil)
	if err != nil {
		return errors.New("its registration_client_uri is not a URL")
	}
	req.Header.Set("Authorization", "Bearer "+c.ManageToken)
	res, err := outbound.Rigid(s.opts.Transport).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, maxDocument)
	if res.StatusCode != http.StatusNoContent && res.StatusCode != http.StatusOK {
		return fmt.Errorf("the authorization server answered %d", res.StatusCode)
	}
	return nil
}

// post sends a form as the client.
func (s *Source) post(ctx context.Context, to string, c client, form url.Values) (int, error) {
	if c.style() == oauth2.AuthStyleInParams {
		form.Set("client_id", c.ID)
		if c.Secret != "" {
			form.Set("client_secret", c.Secret)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.style() == oauth2.AuthStyleInHeader {
		req.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret)) // RFC 6749, section 2.3.1
	}
	res, err := outbound.Rigid(s.opts.Transport).Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, maxDocument)
	return res.StatusCode, nil
}
