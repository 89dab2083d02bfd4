package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"gatehouse/bridge/internal/connect/outbound"
)

// signIn gets a token for the resource, from the authorization server that the
// record has a token of, where the resource still names it. have are scopes
// that must not be lost.
func (s *Source) signIn(ctx context.Context, r *record, doc *resource, c challenge, have []string) error {
	if err := s.canSeal(ctx); err != nil {
		return err // before anybody is asked
	}
	name, err := s.chosen(r, doc)
	if err != nil {
		return err
	}
	if r.Issuer == nil || name != r.Issuer.Issuer {
		have = nil // another's
	}
	meta, err := s.findIssuer(ctx, name)
	if err != nil {
		return err
	}
	r.Issuer, r.Resource, r.Scopes = meta, doc.Resource, s.scopes(doc, c, have)
	flow := s.byCode
	if s.opts.Device {
		flow = s.byDevice
	}
	token, err := flow(ctx, r)
	s.forgetUnknown(r, err)
	if err != nil {
		return fmt.Errorf("sign-in: %w", plainly(err))
	}
	if r.Token, err = s.given(token); err != nil {
		return err
	}
	s.signed = r.Token.Access
	return nil
}

// chosen is the authorization server to ask, of those that the resource names. A
// client that the user gave is of one of them, and is shown to no other
// (2026-07-28, basic/authorization, "Authorization Server Binding").
func (s *Source) chosen(r *record, doc *resource) (string, error) {
	only := s.opts.Issuer
	if only == "" {
		only = s.boundTo(r)
	}
	switch {
	case only != "" && !slices.Contains(doc.Servers, only):
		return "", fmt.Errorf("the server names the authorization server %s, and only %s may be asked: "+
			"it is that of --issuer, or of the client of --client-id, which is not shown to another. "+
			"If the server has moved, sign out and give the client of the new one",
			printable(strings.Join(doc.Servers, ", ")), only)
	case only != "":
		return only, nil
	case r.Issuer != nil && slices.Contains(doc.Servers, r.Issuer.Issuer):
		return r.Issuer.Issuer, nil
	}
	return doc.Servers[0], nil
}

// boundTo is the authorization server at which the client that the user gave was
// used first; "" where it never was. A metadata document is good at any.
func (s *Source) boundTo(r *record) string {
	if s.opts.ClientID == "" || isDocument(s.opts.ClientID) {
		return ""
	}
	for name, c := range r.Clients {
		if c.ID == s.opts.ClientID {
			return name
		}
	}
	return ""
}

// scopes are those of the challenge, else those that the resource names
// (2025-11-25, basic/authorization, "Scope Selection Strategy"), with what one
// has and what the user wants.
func (s *Source) scopes(doc *resource, c challenge, have []string) []string {
	wanted := c.scopes
	if len(wanted) == 0 {
		wanted = doc.Scopes
	}
	all := slices.Clone(have)
	for _, one := range slices.Concat(wanted, s.opts.Scopes) {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// byCode is the code flow with PKCE (RFC 7636) and a loopback redirect (RFC
// 8252, section 7.3).
func (s *Source) byCode(ctx context.Context, r *record) (*oauth2.Token, error) {
	if r.Issuer.Authorize == "" {
		return nil, errors.New("the authorization server has no authorization_endpoint; --device may do")
	}
	back, err := s.listen(ctx, r.Clients[r.Issuer.Issuer].Redirect, r.Issuer)
	if err != nil {
		return nil, err
	}
	defer back.close()
	c, err := s.client(ctx, r, back.url)
	if err != nil {
		return nil, err
	}
	conf := s.config(r, c)
	conf.RedirectURL = back.url
	verifier := oauth2.GenerateVerifier()
	link := conf.AuthCodeURL(back.state, oauth2.S256ChallengeOption(verifier), resourceParam(r))
	s.opts.Tell("to sign in, visit: " + link)
	if s.opts.Browse != nil {
		if err := s.opts.Browse(link); err != nil {
			s.opts.Tell("no browser could be opened: visit the address yourself")
		}
	}
	code, err := back.code(ctx)
	if err != nil {
		return nil, err
	}
	return conf.Exchange(s.rigid(ctx), code, oauth2.VerifierOption(verifier), resourceParam(r))
}

const deviceTime = 30 * time.Second // for the device endpoint to answer

// byDevice is the device grant (RFC 8628).
func (s *Source) byDevice(ctx context.Context, r *record) (*oauth2.Token, error) {
	if r.Issuer.Device == "" {
		return nil, errors.New("the authorization server has no device_authorization_endpoint")
	}
	c, err := s.client(ctx, r, "")
	if err != nil {
		return nil, err
	}
	conf := s.config(r, c)
	verifier := oauth2.GenerateVerifier()
	ctx = s.rigid(ctx)
	options := []oauth2.AuthCodeOption{resourceParam(r), oauth2.S256ChallengeOption(verifier)}
	if c.Secret != "" && c.style() == oauth2.AuthStyleInParams {
		options = append(options, oauth2.SetAuthURLParam("client_secret", c.Secret))
	}
	asking, cancel := context.WithTimeout(s.named(ctx, c), deviceTime)
	defer cancel()
	asked, err := conf.DeviceAuth(asking, options...)
	if err != nil {
		return nil, err
	}
	link := asked.VerificationURIComplete
	if link == "" {
		link = asked.VerificationURI
	}
	if _, err := outbound.Check(link, s.url); err != nil {
		return nil, fmt.Errorf("the address to visit: %w", err)
	}
	s.opts.Tell("to sign in, visit: " + link + "\nand see that the code there is " + printable(asked.UserCode))
	return conf.DeviceAccessToken(ctx, asked, resourceParam(r), oauth2.VerifierOption(verifier))
}

// printable keeps what a terminal shows as it is.
func printable(text string) string {
	clean := []byte(text)[:min(len(text), 200)]
	for i, c := range clean {
		if c < ' ' || c > '~' {
			clean[i] = '?'
		}
	}
	return string(clean)
}

// resourceParam names what the token is for (RFC 8707).
func resourceParam(r *record) oauth2.AuthCodeOption {
	return oauth2.SetAuthURLParam("resource", r.Resource)
}

func (s *Source) config(r *record, c client) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, Scopes: r.Scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL: r.Issuer.Authorize, TokenURL: r.Issuer.Token, DeviceAuthURL: r.Issuer.Device, AuthStyle: c.style(),
		},
	}
}

// style is how the client says who it is at the token endpoint.
func (c client) style() oauth2.AuthStyle {
	if c.Secret != "" && c.Method != "client_secret_post" {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams // a public client names itself there
}

// exchange asks the token endpoint with a grant that oauth2.Config has no call
// for with parameters.
func (s *Source) exchange(ctx context.Context, r *record, c client, params url.Values) (*oauth2.Token, error) {
	params.Set("resource", r.Resource)
	conf := clientcredentials.Config{
		ClientID: c.ID, ClientSecret: c.Secret, TokenURL: r.Issuer.Token, AuthStyle: c.style(), EndpointParams: params,
	}
	return conf.Token(s.rigid(ctx))
}

// rigid makes oauth2 use the client that follows no redirect.
func (s *Source) rigid(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, outbound.Rigid(s.opts.Transport))
}

// forgetUnknown forgets a registration that its issuer does not know any more. A
// client that the user gave stays what it is, and where.
func (s *Source) forgetUnknown(r *record, err error) {
	var refused *oauth2.RetrieveError
	if s.boundTo(r) != "" || !errors.As(err, &refused) {
		return
	}
	if refused.ErrorCode == "invalid_client" || refused.ErrorCode == "unauthorized_client" {
		delete(r.Clients, r.Issuer.Issuer)
		r.keep = true
	}
}

// named says at the device endpoint who asks, as at the token endpoint (RFC
// 8628, section 3.1); oauth2 leaves that to its caller.
func (s *Source) named(ctx context.Context, c client) context.Context {
	if c.style() != oauth2.AuthStyleInHeader {
		return ctx
	}
	client := outbound.Rigid(basic{s.opts.Transport, c})
	client.Timeout = 0 // net/http would wait for it in a goroutine that outlives the call
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}

// basic adds the client's credentials (RFC 6749, section 2.3.1).
type basic struct {
	next http.RoundTripper
	c    client
}

// RoundTrip implements http.RoundTripper.
func (b basic) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth(url.QueryEscape(b.c.ID), url.QueryEscape(b.c.Secret))
	return b.next.RoundTrip(r)
}

// plainly is an error of the token endpoint without the endpoint's body, in
// which a secret may be.
func plainly(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return err
	}
	status := "an answer that cannot be read"
	if refused.Response != nil {
		status = refused.Response.Status
	}
	return fmt.Errorf("the authorization server answered %s: %s %s",
		status, printable(refused.ErrorCode), printable(refused.ErrorDescription))
}
