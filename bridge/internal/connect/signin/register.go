package signin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/bridge/internal/connect/outbound"
)

const clientName = "gatehouse bridge connect"

// client is who we are at the issuer: by a client id metadata document where
// the issuer takes one, as the user says, as registered before, or by a new
// registration (2025-11-25, basic/authorization, "Client Registration
// Approaches"). redirect is "" for the device grant.
func (s *Source) client(ctx context.Context, r *record, redirect string) (client, error) {
	document := isDocument(s.opts.ClientID)
	c := client{ID: s.opts.ClientID, Secret: s.opts.ClientSecret, Redirect: redirect}
	switch known, ok := r.Clients[r.Issuer.Issuer]; {
	case document && r.Issuer.TakesDocument:
		c.Method = "none"
	case c.ID != "" && !document:
		c.Method = method(r.Issuer.Methods, c.Secret != "")
	case ok && s.fits(known, redirect):
		return known, nil
	case r.Issuer.Register == "":
		return c, errors.New("the authorization server registers no clients: give --client-id")
	default:
		var err error
		if c, err = s.register(ctx, r.Issuer, redirect); err != nil {
			return c, err
		}
	}
	if r.Clients == nil {
		r.Clients = map[string]client{}
	}
	r.Clients[r.Issuer.Issuer], r.keep = c, true
	return c, nil
}

// isDocument tells a client id metadata document from a client's name.
func isDocument(clientID string) bool { return strings.HasPrefix(clientID, "https://") }

// fits reports whether a registration serves this sign-in.
func (s *Source) fits(c client, redirect string) bool {
	alive := c.Expires.IsZero() || s.opts.Now().Before(c.Expires)
	if redirect == "" {
		return alive && c.Device
	}
	return alive && c.Redirect == redirect
}

// method is how the client says who it is: with its secret where it has one.
func method(supported []string, secret bool) string {
	if !secret {
		return "none"
	}
	if len(supported) > 0 && !slices.Contains(supported, "client_secret_basic") {
		return "client_secret_post"
	}
	return "client_secret_basic" // the default (RFC 8414, section 2)
}

type registration struct {
	Name      string   `json:"client_name"`
	Redirects []string `json:"redirect_uris,omitempty"`
	Grants    []string `json:"grant_types"`
	Responses []string `json:"response_types,omitempty"`
	Method    string   `json:"token_endpoint_auth_method"`
	Kind      string   `json:"application_type"`
}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

func (s *Source) register(ctx context.Context, at *issuer, redirect string) (client, error) {
	ask := registration{
		Name: clientName, Redirects: []string{redirect}, Grants: []string{"authorization_code", "refresh_token"},
		Responses: []string{"code"}, Method: "none", Kind: "native",
	}
	if redirect == "" { // nobody is sent there; servers want one all the same
		ask.Redirects, ask.Grants = []string{"http://127.0.0.1" + callback}, append(ask.Grants, deviceGrant)
	}
	if len(at.Methods) > 0 && !slices.Contains(at.Methods, "none") {
		ask.Method = method(at.Methods, true)
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return client{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.Register, bytes.NewReader(body))
	if err != nil {
		return client{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := outbound.Rigid(s.opts.Transport).Do(req)
	if err != nil {
		return client{}, fmt.Errorf("registration: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	c, err := registered(res, ask.Method, redirect)
	if err == nil {
		c.guardManage(at.Register, s.url)
	}
	return c, err
}

// guardManage drops the token of a registration whose place is not at the origin
// that gave it: it would go to another. The place stays, to be named.
func (c *client) guardManage(by string, server *url.URL) {
	to, err := outbound.Check(c.Manage, server)
	from, parsed := url.Parse(by)
	if err != nil || parsed != nil || !outbound.SameOrigin(to, from) {
		c.ManageToken = ""
	}
}

func registered(res *http.Response, method, redirect string) (client, error) {
	var doc struct {
		ID      string `json:"client_id"`
		Secret  string `json:"client_secret"`
		Method  string `json:"token_endpoint_auth_method"`
		Expires int64  `json:"client_secret_expires_at"`
		Manage  string `json:"registration_client_uri"`
		Token   string `json:"registration_access_token"`
		Failure string `json:"error"`
	}
	err := decode(res.Body, &doc)
	switch {
	case res.StatusCode != http.StatusCreated && res.StatusCode != http.StatusOK:
		return client{}, fmt.Errorf(
			"registration: the authorization server answered %d %s",
			res.StatusCode,
			printable(doc.Failure),
		)
	case err != nil:
		return client{}, fmt.Errorf("registration: %w", err)
	case doc.ID == "":
		return client{}, errors.New("registration: the authorization server gave no client_id")
	}
	c := client{
		ID: doc.ID, Secret: doc.Secret, Method: doc.Method, Redirect: redirect, Device: redirect == "",
		Manage: doc.Manage, ManageToken: doc.Token,
	}
	if c.Method == "" {
		c.Method = method
	}
	if c.Method == "none" {
		c.Secret = ""
	}
	if doc.Expires > 0 {
		c.Expires = time.Unix(doc.Expires, 0)
	}
	return c, nil
}
