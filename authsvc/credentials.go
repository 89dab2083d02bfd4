package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"gatehouse/authsvc/internal/account"
	"gatehouse/authsvc/internal/check"
	"gatehouse/authsvc/internal/connection"
	"gatehouse/authsvc/internal/credential"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/session"
)

// openCredentials reads what users can have of their own for servers.
func (s *service) openCredentials() error {
	entries, err := credential.Read(s.cfg.Credentials)
	if err != nil || len(entries) == 0 {
		return err
	}
	s.credentials = &credential.Service{
		Entries: entries, Store: s.store, Box: session.NewBox([]byte(s.cfg.StoreKey), "credentials"),
		Endings: s.endings, Provider: s.provider,
		Refused: func(err error) bool { return errors.Is(err, provider.ErrRefused) },
		Client: &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		PublicURL: s.cfg.PublicURL, Audit: s.audit, Now: time.Now, Log: s.log,
	}
	s.sessions.KeepAccess = s.credentials.NeedsTokens()
	return nil
}

// logins avoids a nil *credential.Service in a non-nil interface.
func (s *service) logins() check.Logins {
	if s.credentials == nil {
		return nil
	}
	return s.credentials
}

// connections are the pages on which users connect them, nil for none.
func (s *service) connections() *connection.Handler {
	if s.credentials == nil {
		return nil
	}
	h := &connection.Handler{
		Credentials: s.credentials, Sessions: s.sessions, Box: session.NewBox([]byte(s.cfg.StoreKey), "connect"),
		Pages: s.pages, Cookie: s.cfg.cookie(), Origin: s.cfg.origin(), Now: time.Now,
	}
	if s.cfg.Identity.Provider == "keycloak" {
		h.LinkURL = strings.TrimSuffix(s.cfg.Issuer, "/") + "/account/account-security/linked-accounts"
	}
	return h
}

// shownHolders is how many an administrator sees.
const shownHolders = 500

// shownCredentials lists them for the account page.
func (s *service) shownCredentials(h *connection.Handler) account.Credentials {
	if h == nil {
		return nil
	}
	return shownCredentials{h, s.credentials}
}

type shownCredentials struct {
	pages *connection.Handler
	all   *credential.Service
}

func (c shownCredentials) Own(ctx context.Context, subject string) (any, error) {
	return c.pages.Rows(ctx, subject)
}

func (c shownCredentials) Everyones(ctx context.Context) (any, error) {
	return c.all.Holders(ctx, shownHolders)
}
