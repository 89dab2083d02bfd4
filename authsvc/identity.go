package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"gatehouse/authsvc/internal/claims"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/internal/jsonfile"
)

// identityFlags say what the tokens of the provider mean. --provider sets them
// all; each can be set alone.
type identityFlags struct {
	Provider      string   `help:"Whose ways the issuer has: ${enum}." enum:"keycloak,entra,okta,auth0,google,oidc" default:"keycloak"`
	LoginIdentity string   `help:"What a browser's sign-in takes roles from: access-token, id-token or userinfo."`
	TokenType     string   `help:"How access tokens are told from others: keycloak, at+jwt, entra, okta, auth0 or opaque."`
	SubjectClaim  []string `help:"Claims that name the user, the first that is there; so for the next two."`
	EmailClaim    []string `help:"Claims that hold the e-mail address."`
	NameClaim     []string `help:"Claims that hold the name."`
	RolesClaim    []string `help:"Claims that hold roles or groups, joined. A path has dots; {client} is the client's id."`
	ScopesClaim   []string `help:"Claims that hold scopes, joined."`

	EmailVerifiedClaim string `help:"Claim that says whether the e-mail address is the user's."`
	EmailUnverified    bool   `help:"Believe an e-mail address that nobody has verified."`

	GroupsURL   string `name:"groups-url" help:"Where the groups of a {user} are that a token has no room for (Microsoft Graph with --provider entra)."`
	GroupsScope string `help:"Scope of this program's own token for it."`

	Roles   []string `help:"Roles that travel on, as globs such as mcp-*; all by default."`
	RoleMap string   `help:"JSON file of the roles that follow from a role or group: {\"/Engineering\": [\"mcp-user\"]}."`
}

// mapping is what the flags make of the provider's own.
func (f *identityFlags) mapping(client string) (claims.Mapping, error) {
	m, ok := claims.Of(f.Provider, client)
	if !ok {
		return m, fmt.Errorf("--provider %q: want one of %s", f.Provider, strings.Join(claims.Vendors(), ", "))
	}
	for to, from := range map[*[]string][]string{
		&m.Subject: f.SubjectClaim, &m.Email: f.EmailClaim, &m.Name: f.NameClaim,
		&m.Roles: f.RolesClaim, &m.Scopes: f.ScopesClaim,
	} {
		if len(from) > 0 {
			*to = from
		}
	}
	if f.EmailVerifiedClaim != "" {
		m.Verified = f.EmailVerifiedClaim
	}
	if f.TokenType != "" {
		m.Type = claims.Type(f.TokenType)
	}
	if !slices.Contains(claims.Types(), m.Type) {
		return m, fmt.Errorf("--token-type %q: want one of %v", f.TokenType, claims.Types())
	}
	m.Trusted, m.Keep = f.EmailUnverified, f.Roles
	var err error
	m.Grants, err = readRoleMap(f.RoleMap)
	return m, err
}

// source is what a sign-in takes the identity from. Only Keycloak's access
// tokens are always this gate's to read.
func (f *identityFlags) source() (provider.Source, error) {
	switch {
	case f.LoginIdentity == "" && f.Provider == "keycloak":
		return provider.FromAccess, nil
	case f.LoginIdentity == "":
		return provider.FromIDToken, nil
	case !slices.Contains(provider.Sources(), f.LoginIdentity):
		return "", fmt.Errorf("--login-identity %q: want one of %s", f.LoginIdentity, strings.Join(provider.Sources(), ", "))
	}
	return provider.Source(f.LoginIdentity), nil
}

// groups is where to ask for groups, and the scope of the question.
func (f *identityFlags) groups() (address, scope string) {
	const graph = "https://graph.microsoft.com/"
	if f.GroupsURL != "" || f.Provider != "entra" {
		return f.GroupsURL, f.GroupsScope
	}
	address = graph + "v1.0/users/" + provider.UserName + "/transitiveMemberOf/microsoft.graph.group?$select=id&$top=999"
	return address, graph + ".default"
}

func readRoleMap(file string) (map[string][]string, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--role-map: %w", err)
	}
	var grants map[string][]string
	if err := jsonfile.Decode(raw, &grants); err != nil {
		return nil, fmt.Errorf("--role-map %s: want an object of lists of roles: %w", file, err)
	}
	for name, roles := range grants {
		if name == "" || slices.Contains(roles, "") {
			return nil, errors.New("--role-map " + file + ": a name or a role is empty")
		}
	}
	return grants, nil
}
