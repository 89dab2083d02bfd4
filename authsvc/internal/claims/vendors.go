package claims

import (
	"slices"
	"strings"
)

// Type is how a provider marks its access tokens.
type Type string

// The ways in use.
const (
	TypeKeycloak Type = "keycloak" // at+jwt, or a plain JWT whose payload says Bearer or DPoP
	TypeStandard Type = "at+jwt"   // RFC 9068
	TypeEntra    Type = "entra"    // no mark: scp, or roles of a machine, and the client that it was issued to
	TypeOkta     Type = "okta"     // no mark: an id that begins with AT.
	TypeAuth0    Type = "auth0"    // at+jwt, or a JWT with a client and a grant
	TypeOpaque   Type = "opaque"   // no JWT: nobody but the provider can read them
)

// Types lists them, for who must choose one.
func Types() []Type {
	return []Type{TypeKeycloak, TypeStandard, TypeEntra, TypeOkta, TypeAuth0, TypeOpaque}
}

// Vendors lists the providers that are known by name.
func Vendors() []string { return []string{"keycloak", "entra", "okta", "auth0", "google", "oidc"} }

// Of is the mapping of a provider. Each vendor's documentation is named in
// docs/providers.md.
func Of(vendor, client string) (Mapping, bool) {
	m := Mapping{
		Client: client, Subject: []string{"sub"}, Email: []string{"email"}, Name: []string{"name", "preferred_username"},
		Session: []string{"sid"}, Party: []string{"azp", "client_id"}, Scopes: []string{"scope"}, Verified: "email_verified",
	}
	switch vendor {
	case "keycloak":
		m.Type, m.Roles = TypeKeycloak, []string{"realm_access.roles", "resource_access.{client}.roles"}
	case "entra":
		// sub differs from application to application; oid is the user's own.
		m.Subject = []string{"oid", "sub"}
		m.Party, m.Scopes, m.Roles = []string{"azp", "appid"}, []string{"scp"}, []string{"roles", "groups"}
		m.Verified = "xms_edov" // whether the domain's owner is verified
		m.Type = TypeEntra
	case "okta":
		// sub of an access token is the login name, that of an ID token the user's id.
		m.Subject = []string{"uid", "sub"}
		m.Party, m.Scopes, m.Roles = []string{"cid"}, []string{"scp"}, []string{"groups"}
		m.Type = TypeOkta
	case "auth0":
		m.Name, m.Roles = []string{"name", "nickname"}, []string{"permissions"}
		m.Type = TypeAuth0
	case "google":
		m.Roles = []string{"hd"} // the organisation's domain: the one thing that a person cannot choose
		m.Type = TypeOpaque
	case "oidc":
		m.Scopes, m.Roles = []string{"scope", "scp"}, []string{"roles", "groups"}
		m.Type = TypeStandard
	default:
		return Mapping{}, false
	}
	return m, true
}

// IsAccess reports whether a token with this header type and payload is an
// access token: neither an ID token nor one for a refresh or a logout.
func (m *Mapping) IsAccess(header string, p Payload) bool {
	header = strings.TrimPrefix(strings.ToLower(header), "application/")
	if p["nonce"] != nil || p["events"] != nil {
		return false // an ID token; a logout token
	}
	kind, _ := p["typ"].(string)
	standard := header == "at+jwt" && (kind == "" || kind == "Bearer" || kind == "DPoP")
	plain := header == "jwt" || header == ""
	switch m.Type {
	case TypeKeycloak:
		return standard || plain && (kind == "Bearer" || kind == "DPoP")
	case TypeStandard:
		return standard
	case TypeEntra:
		return plain && has(p, "azp", "appid") && (p["scp"] != nil || p["roles"] != nil)
	case TypeOkta:
		id, _ := p["jti"].(string)
		return plain && strings.HasPrefix(id, "AT.") && has(p, "cid")
	case TypeAuth0:
		return standard || plain && has(p, "azp") && (p["scope"] != nil || p["permissions"] != nil || p["gty"] != nil)
	}
	return false
}

func has(p Payload, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return p[name] != nil })
}
