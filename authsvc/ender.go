package main

import (
	"cmp"
	"fmt"
	"time"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/ending"
	"gatehouse/authsvc/internal/keycloak"
)

// openEnder joins who ends things here and at the provider.
func (s *service) openEnder() error {
	audit, err := auditlog.Open(s.cfg.Audit, s.log)
	if err != nil {
		return fmt.Errorf("--audit: %w", err)
	}
	s.audit = audit
	s.ender = &ending.Ender{Sessions: s.sessions, Audit: audit, Log: s.log}
	if s.cfg.Identity.Provider != "keycloak" || !s.cfg.KeycloakAdmin {
		return nil
	}
	secret := (&clientSecret{cfg: s.cfg, log: s.log, last: s.cfg.ClientSecret}).now
	keycloakAdmin := keycloak.New(cmp.Or(s.cfg.IssuerInternal, s.cfg.Issuer), s.cfg.ClientID, secret, time.Now)
	if keycloakAdmin == nil {
		return nil // the issuer is no realm of a Keycloak
	}
	s.ender.Provider = keycloakAdmin
	s.watch = &ending.Watch{
		Events: keycloakAdmin, Sessions: s.sessions, Store: s.store, Every: watchEvery, Now: time.Now, Audit: audit,
		Log: s.log,
	}
	return nil
}

// watchEvery is how often a Keycloak is asked what ended there: with the 2 s in
// which the bridge asks here, a stream is closed within 5.
const watchEvery = 2 * time.Second
