package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/bridge/internal/connect/outbound"
)

const maxDocument = 1 << 20

// resource is what the server says about itself (RFC 9728, section 2).
type resource struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
}

// issuer is what an authorization server says about itself (RFC 8414,
// section 2).
type issuer struct {
	Issuer        string   `json:"issuer"`
	Authorize     string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Register      string   `json:"registration_endpoint,omitempty"`
	Revoke        string   `json:"revocation_endpoint,omitempty"`
	Device        string   `json:"device_authorization_endpoint,omitempty"`
	Methods       []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	Challenges    []string `json:"code_challenge_methods_supported,omitempty"`
	SendsIssuer   bool     `json:"authorization_response_iss_parameter_supported,omitempty"`
	TakesDocument bool     `json:"client_id_metadata_document_supported,omitempty"`
}

// errNone says that a document is not there; another place may have it.
var errNone = errors.New("no such document")

// errOther says that something else is there: sites answer all paths with a page.
var errOther = errors.New("what is there is not the document that it should be")

// findResource reads the server's metadata: from where its challenge says, else
// from the well-known places. A server without any is one of 2025-03-26, whose
// origin is its authorization server.
func (s *Source) findResource(ctx context.Context, c challenge) (*resource, error) {
	places := wellKnown(s.url, "oauth-protected-resource")
	if c.metadata != "" {
		places = []string{c.metadata}
	}
	for _, place := range places {
		var doc resource
		err := s.get(ctx, place, s.url, &doc)
		if (errors.Is(err, errNone) || errors.Is(err, errOther)) && c.metadata == "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the server's metadata: %w", err)
		}
		if err := s.checkResource(&doc); err != nil {
			return nil, err
		}
		return &doc, nil
	}
	return &resource{Resource: s.url.String(), Servers: []string{outbound.Origin(s.url)}}, nil
}

// checkResource wants metadata of this server (RFC 9728, section 3.3): its
// address, or a path above it at the same origin, so that a token is for
// nobody else.
func (s *Source) checkResource(doc *resource) error {
	u, err := outbound.Check(doc.Resource, s.url)
	if err != nil {
		return fmt.Errorf("the server's metadata: resource: %w", err)
	}
	above := strings.TrimSuffix(u.Path, "/")
	same := s.url.Path == u.Path || strings.HasPrefix(s.url.Path+"/", above+"/")
	if !outbound.SameOrigin(u, s.url) || !same || u.Fragment != "" {
		return fmt.Errorf("the server's metadata are of another resource, %q", doc.Resource)
	}
	if len(doc.Servers) == 0 {
		return errors.New("the server's metadata name no authorization server")
	}
	return nil
}

// findIssuer reads the authorization server's metadata. They must be of the
// very issuer that was asked for (RFC 8414, section 3.3).
func (s *Source) findIssuer(ctx context.Context, name string) (*issuer, error) {
	u, err := outbound.Check(name, s.url)
	if err != nil {
		return nil, fmt.Errorf("the authorization server: %w", err)
	}
	places := wellKnown(u, "oauth-authorization-server")[:1]
	places = append(places, wellKnown(u, "openid-configuration")[0])
	if strings.Trim(u.Path, "/") != "" {
		below := *u
		below.Path = strings.TrimSuffix(u.Path, "/") + "/.well-known/openid-configuration"
		places = append(places, below.String())
	}
	for _, place := range places {
		var doc issuer
		err := s.get(ctx, place, u, &doc)
		if errors.Is(err, errNone) || errors.Is(err, errOther) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the authorization server's metadata: %w", err)
		}
		if doc.Issuer != name {
			return nil, fmt.Errorf("the authorization server's metadata are of another issuer, %q, not of %q", doc.Issuer, name)
		}
		return &doc, s.checkIssuer(&doc)
	}
	if !outbound.SameOrigin(u, s.url) || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("the authorization server %s has no metadata", outbound.Origin(u))
	}
	// 2025-03-26, basic/authorization, "Fallbacks for Servers without Metadata
	// Discovery".
	at := outbound.Origin(u)
	return &issuer{
		Issuer: name, Authorize: at + "/authorize", Token: at + "/token", Register: at + "/register",
		Challenges: []string{"S256"},
	}, nil
}

func (s *Source) checkIssuer(doc *issuer) error {
	for field, value := range map[string]string{
		"authorization_endpoint": doc.Authorize, "token_endpoint": doc.Token, "registration_endpoint": doc.Register,
		"revocation_endpoint": doc.Revoke, "device_authorization_endpoint": doc.Device,
	} {
		if value == "" {
			continue
		}
		if _, err := outbound.Check(value, s.url); err != nil {
			return fmt.Errorf("the authorization server's %s: %w", field, err)
		}
	}
	if doc.Token == "" {
		return errors.New("the authorization server has no token_endpoint")
	}
	// Without it PKCE cannot be relied on (2025-11-25, basic/authorization,
	// "Authorization Code Protection").
	if !slices.Contains(doc.Challenges, "S256") && !s.opts.Device {
		return errors.New("the authorization server does not name S256 among its code_challenge_methods_supported")
	}
	return nil
}

// wellKnown is where the document of the URL may be: with its path appended,
// and at the root (RFC 8414, section 3.1).
func wellKnown(u *url.URL, name string) []string {
	root := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/.well-known/" + name}
	below := root
	below.Path += strings.TrimSuffix("/"+strings.TrimPrefix(u.Path, "/"), "/")
	if below == root {
		return []string{root.String()}
	}
	return []string{below.String(), root.String()}
}

// get reads one document that anybody may read.
func (s *Source) get(ctx context.Context, from string, named *url.URL, into any) error {
	if _, err := outbound.Check(from, s.url); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	res, err := outbound.Public(s.opts.Transport, named).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 400 && res.StatusCode < 500 {
		return errNone
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", from, res.Status)
	}
	return decode(res.Body, into)
}

// decode reads one JSON object of bounded length.
func decode(body io.Reader, into any) error {
	raw, err := io.ReadAll(io.LimitReader(body, maxDocument+1))
	switch {
	case err != nil:
		return err
	case len(raw) > maxDocument:
		return fmt.Errorf("a document of more than %d bytes", maxDocument)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errOther
	}
	return nil
}
