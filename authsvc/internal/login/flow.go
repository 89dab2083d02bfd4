package login

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/authsvc/internal/session"
)

const (
	// flowPart follows the session's name in that of a login's cookie; a part of
	// the state's hash ends it, so that two tabs which sign in at once keep one each.
	flowPart   = "-login-"
	flowLife   = 10 * time.Minute
	maxFlows   = 3       // of one browser
	maxFlowLen = 4 << 10 // of all their cookies; nginx refuses a line of 8 KB
)

// flow is one login under way. It lies in the browser, sealed: what a stranger
// begins costs the gate nothing.
type flow struct {
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Return   string `json:"return"`
	Born     int64  `json:"born"` // Unix seconds
}

func newFlow(back string, now time.Time) flow {
	return flow{Nonce: session.NewSecret().Encode(), Verifier: oauth2.GenerateVerifier(), Return: back, Born: now.Unix()}
}

func (f flow) end() time.Time { return time.Unix(f.Born, 0).Add(flowLife) }

// errFlow says that this browser has no such login under way.
var errFlow = errors.New("no such login under way")

func cookieName(of session.Cookie, state string) string {
	sum := sha256.Sum256([]byte(state))
	return of.Name() + flowPart + hex.EncodeToString(sum[:4])
}

// sealFlow binds the flow to the state that travels: neither opens without the
// other.
func sealFlow(box *session.Box, of session.Cookie, state string, f flow) (*http.Cookie, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	value := base64.RawURLEncoding.EncodeToString(box.Seal("login "+state, plain))
	return loginCookie(cookieName(of, state), value, int(flowLife.Seconds())), nil
}

func openFlow(
	box *session.Box,
	of session.Cookie,
	r *http.Request,
	state string,
	now time.Time,
) (flow, error) {
	var f flow
	c, err := r.Cookie(cookieName(of, state))
	if err != nil {
		return f, errFlow
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return f, errFlow
	}
	plain, err := box.Open("login "+state, sealed)
	if err != nil {
		return f, errFlow // another began it, or with another store key
	}
	if err := json.Unmarshal(plain, &f); err != nil {
		return f, fmt.Errorf("%w: %w", errFlow, err)
	}
	if now.After(f.end()) {
		return f, fmt.Errorf("%w: it was begun more than %s ago", errFlow, flowLife)
	}
	return f, nil
}

// surplus are the cookies of older logins for which the next has no room.
// Browsers name the oldest first (RFC 6265, 5.4).
func surplus(r *http.Request, of session.Cookie, next *http.Cookie) (names []string) {
	var have []*http.Cookie
	size := len(next.Name) + len(next.Value)
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, of.Name()+flowPart) {
			have = append(have, c)
			size += len(c.Name) + len(c.Value)
		}
	}
	for len(have) > 0 && (len(have) >= maxFlows || size > maxFlowLen) {
		names = append(names, have[0].Name)
		size -= len(have[0].Name) + len(have[0].Value)
		have = have[1:]
	}
	return names
}

// loginCookie with a negative age takes the cookie away.
func loginCookie(name, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
