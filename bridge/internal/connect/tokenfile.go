package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// TokenFile are credentials that somebody else renews: the file is read for
// each request.
type TokenFile string

// Token implements Credentials.
func (f TokenFile) Token(context.Context) (string, error) {
	raw, err := os.ReadFile(string(f))
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("--token-file %s holds no token", f)
	}
	return token, nil
}

// Refused implements Credentials: a token that has changed meanwhile may do.
func (f TokenFile) Refused(ctx context.Context, token string, _ int, _ http.Header) error {
	now, err := f.Token(ctx)
	if err == nil && now == token {
		return fmt.Errorf("the server refuses the token in --token-file %s", f)
	}
	return err
}

// Lent is the credential of the one user whom this process serves: a file that
// the bridge renews.
type Lent string

// Token implements Credentials.
func (f Lent) Token(ctx context.Context) (string, error) {
	token, err := TokenFile(f).Token(ctx)
	if err != nil {
		return "", errors.New("this user's credential for the server is not there, or is none that a header can carry")
	}
	return token, nil
}

// Refused implements Credentials: one that was renewed meanwhile may do.
func (f Lent) Refused(ctx context.Context, token string, _ int, _ http.Header) error {
	now, err := f.Token(ctx)
	if err == nil && now == token {
		return errors.New("the server refuses this user's credential; connect it anew at the gate")
	}
	return err
}

// Fixed are no credentials but the headers: a refusal is the end.
type Fixed struct{}

// Token implements Credentials.
func (Fixed) Token(context.Context) (string, error) { return "", nil }

// Refused implements Credentials.
func (Fixed) Refused(context.Context, string, int, http.Header) error {
	return errors.New("the server wants other credentials than the headers that were given")
}
