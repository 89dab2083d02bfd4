package session

import (
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/internal/contract"
)

// Grant is what the provider gave for a code or a refresh token.
type Grant struct {
	Identity     contract.Identity // SessionID is the provider's sid, Expires the access token's end
	RefreshToken string
	IDToken      string
	AccessToken  string
	ACR          string // how it was signed in, "" where the provider does not say
}

// Session is one browser's sign-in. In Identity, SessionID is gatehouse's own
// id: one session of the provider can carry several of ours, and one of ours
// can end while the provider's lives on.
type Session struct {
	Identity     contract.Identity `json:"identity"`
	ProviderSID  string            `json:"provider_sid"`
	RefreshToken string            `json:"refresh_token"`
	IDToken      string            `json:"id_token"`
	AccessToken  string            `json:"access_token,omitempty"` // where Sessions.KeepAccess
	ACR          string            `json:"acr,omitempty"`
	TokenEnd     time.Time         `json:"token_end"`  // of the access token that gave the roles
	TokenLife    time.Duration     `json:"token_life"` // how long that token lived when it came
	Created      time.Time         `json:"created"`
	Seen         time.Time         `json:"seen"`
	RemoteIP     string            `json:"remote_ip"`
	Agent        string            `json:"agent"`
}

// adopt moves a grant's contents in. The session's own id and end stay. What
// the token said counts for refresh at most, where that is not 0.
func (s *Session) adopt(g Grant, now time.Time, refresh time.Duration) {
	sid, end := s.Identity.SessionID, s.Identity.Expires
	s.TokenLife = g.Identity.Expires.Sub(now)
	if refresh > 0 {
		s.TokenLife = min(s.TokenLife, refresh)
	}
	s.TokenEnd = now.Add(s.TokenLife)
	s.ProviderSID, s.AccessToken = g.Identity.SessionID, g.AccessToken
	s.Identity = g.Identity
	s.Identity.SessionID, s.Identity.Expires = sid, end
	if g.RefreshToken != "" {
		s.RefreshToken = g.RefreshToken
	}
	if g.IDToken != "" {
		s.IDToken = g.IDToken
	}
	if g.ACR != "" {
		s.ACR = g.ACR
	}
	// Without a refresh token nobody is ever asked again: it ends with its token.
	// A browser that navigates then signs in anew, at the provider without a word.
	if s.RefreshToken == "" && g.Identity.Expires.Before(s.Identity.Expires) {
		s.Identity.Expires = g.Identity.Expires
	}
}

func (s *Session) seal(own *Box, secret Secret) ([]byte, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("seal session: %w", err)
	}
	return secret.Box(own, kindSession).Seal(secret.Key(kindSession), plain), nil
}

func openSession(own *Box, secret Secret, sealed []byte) (Session, error) {
	var s Session
	plain, err := secret.Box(own, kindSession).Open(secret.Key(kindSession), sealed)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(plain, &s); err != nil {
		return s, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return s, nil
}
