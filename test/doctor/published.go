package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// resourceMetadata is what a client reads first (RFC 9728).
type resourceMetadata struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
}

func (g *gate) metadata(ctx context.Context) (doc resourceMetadata, err error) {
	a, err := g.ask(ctx, http.MethodGet, "/.well-known/oauth-protected-resource/mcp", "", nil)
	if err != nil {
		return doc, err
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.StatusCode != http.StatusOK {
		return doc, fmt.Errorf("status %d, body %.60q, want the document of RFC 9728", a.StatusCode, a.body)
	}
	return doc, nil
}

// published follows each address that a client is given, as the client does: the
// sign-in of everybody hangs on the first that is dead.
func published(ctx context.Context, g *gate) error {
	doc, err := g.metadata(ctx)
	if err != nil {
		return nil //nolint:nilerr // the check of the metadata says it
	}
	for _, issuer := range doc.Servers {
		if err := g.discovered(ctx, issuer); err != nil {
			return err
		}
	}
	return nil
}

// discovered looks an authorization server up (RFC 8414, 3; OpenID Connect
// Discovery, 4) and asks for every endpoint that it names. Any answer but "not
// found" and a fault of a server says that somebody is there.
func (g *gate) discovered(ctx context.Context, issuer string) error {
	document, err := g.discovery(ctx, issuer)
	if err != nil {
		return err
	}
	for _, name := range []string{
		"authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint", "end_session_endpoint",
	} {
		target, ok := document[name].(string)
		if !ok {
			continue
		}
		a, err := g.ask(ctx, http.MethodGet, target, "", nil)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", name, issuer, err)
		}
		if a.StatusCode == http.StatusNotFound && name != "registration_endpoint" ||
			a.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("%s %s, which %s publishes, answered %d", name, target, issuer, a.StatusCode)
		}
	}
	return nil
}

func (g *gate) discovery(ctx context.Context, issuer string) (document map[string]any, err error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("authorization server %q: want a URL", issuer)
	}
	path := strings.TrimSuffix(u.Path, "/")
	origin := u.Scheme + "://" + u.Host
	said := ""
	for _, target := range []string{
		origin + "/.well-known/oauth-authorization-server" + path, origin + "/.well-known/openid-configuration" + path,
		origin + path + "/.well-known/openid-configuration",
	} {
		a, err := g.ask(ctx, http.MethodGet, target, "", nil)
		if err != nil {
			return nil, fmt.Errorf("authorization server %s, which the metadata publishes: %w", issuer, err)
		}
		said = fmt.Sprintf("%s answered %d", target, a.StatusCode)
		if a.StatusCode != http.StatusOK || json.Unmarshal([]byte(a.body), &document) != nil {
			continue
		}
		if document["issuer"] != issuer {
			return nil, fmt.Errorf("%s calls itself %q, the metadata say %q", target, document["issuer"], issuer)
		}
		return document, nil
	}
	return nil, fmt.Errorf(
		"authorization server %s, which the metadata publishes, has no discovery document: %s",
		issuer,
		said,
	)
}

func roleCheck() check {
	return check{"role", "authsvc --require-role, and the role in the realm given to those who may come in only", roleless}
}

// roleless comes with the token of a user who lacks the role.
func roleless(ctx context.Context, g *gate) error {
	header := jsonHeader()
	header["Authorization"] = "Bearer " + g.roleless
	a, err := g.ask(ctx, http.MethodPost, "/mcp", initialize, header)
	switch {
	case err != nil:
		return err
	case a.StatusCode == http.StatusOK:
		return fmt.Errorf("a user without the role is let in")
	case a.StatusCode != http.StatusForbidden:
		return fmt.Errorf("a user without the role is answered %d, want 403; is the token still good?", a.StatusCode)
	}
	return nil
}
