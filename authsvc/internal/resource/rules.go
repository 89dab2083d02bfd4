package resource

import (
	"slices"
	"strings"

	"gatehouse/internal/contract"
)

// Rules is what a caller must show.
type Rules struct {
	PublicURL string   // an origin, or one with a path that no resource has
	Audience  string   // opens the gate, as PublicURL and its paths do; "" for none beside them
	Scopes    []string // each access token must have all
	Server    string   // the scope of a token for one server, with ServerName in it; "" for Scopes
	Role      string   // each caller must have it; "" for none
}

// split parts the public URL: base is its path, "" for a gate with a host of its
// own.
func (ru Rules) split() (origin, base string) {
	_, rest, _ := strings.Cut(ru.PublicURL, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		base = rest[i:]
	}
	return strings.TrimSuffix(ru.PublicURL, base), base
}

// Of is the resource that a request for an address is for. What does not lie
// below the public URL is none that is known.
func (ru Rules) Of(originalURI string) Resource {
	_, base := ru.split()
	below, ok := strings.CutPrefix(originalURI, base)
	if !ok {
		return Resource{}
	}
	return of(below)
}

// Announced is the resource whose metadata stand under a path behind the
// well-known one (RFC 9728, 3.1).
func (ru Rules) Announced(path string) (Resource, bool) {
	_, base := ru.split()
	below, ok := strings.CutPrefix(path, base)
	if !ok {
		return Resource{}, false
	}
	return announced(below)
}

// URL is the address that a request's own line names.
func (ru Rules) URL(escapedPath string) string {
	origin, _ := ru.split()
	return origin + escapedPath
}

// Reach is what an access token opens.
type Reach struct {
	Gate    bool     // all
	Servers []string // these alone
}

// Reach reads the audiences of a token (RFC 8707, 2).
func (ru Rules) Reach(audience []string) Reach {
	var reach Reach
	for _, aud := range audience {
		path, ours := strings.CutPrefix(aud, ru.PublicURL)
		if r, ok := announced(path); ours && (ok || path == message) {
			reach = reach.with(r)
		} else if r := of(path); ours && r.Server != "" { // its /message
			reach = reach.with(r)
		} else if aud == ru.Audience && aud != "" {
			reach.Gate = true
		}
	}
	return reach
}

func (re Reach) with(r Resource) Reach {
	if r.Server == "" {
		re.Gate = true
	} else if !slices.Contains(re.Servers, r.Server) {
		re.Servers = append(re.Servers, r.Server)
	}
	return re
}

// Any reports whether it opens anything at all.
func (re Reach) Any() bool { return re.Gate || len(re.Servers) > 0 }

// Opens reports whether it opens a resource.
func (re Reach) Opens(r Resource) bool {
	return re.Gate || r.Server != "" && slices.Contains(re.Servers, r.Server)
}

// ServerName stands for a server's name in the scope of one.
const ServerName = "{server}"

// scopesOf is what a token that was made for a resource must have.
func (ru Rules) scopesOf(r Resource) []string {
	if r.Server == "" || ru.Server == "" {
		return ru.Scopes
	}
	return []string{strings.ReplaceAll(ru.Server, ServerName, r.Server)}
}

// ServerScopes is what a token that was made for a server must have.
func (ru Rules) ServerScopes(server string) []string { return ru.scopesOf(Resource{Server: server}) }

// ScopesOK reports whether a caller whose token opens the resource has the
// scopes for it: those of the gate, or those of the server, by what the token
// was made for.
func (ru Rules) ScopesOK(id contract.Identity, reach Reach, r Resource) bool {
	if reach.Gate && hasAll(id, ru.Scopes) {
		return true
	}
	return slices.Contains(reach.Servers, r.Server) && hasAll(id, ru.scopesOf(r))
}

func hasAll(id contract.Identity, scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !id.HasScope(s) })
}

// Document is the metadata of a resource (RFC 9728, 2).
func (ru Rules) Document(r Resource) (resource string, scopes []string) {
	return ru.PublicURL + r.Path, ru.scopesOf(r)
}

// RoleOK reports whether the caller has the role.
func (ru Rules) RoleOK(id contract.Identity) bool { return ru.Role == "" || id.HasRole(ru.Role) }

const metadataPath = "/.well-known/oauth-protected-resource"

// Challenge is WWW-Authenticate as RFC 6750, 3 and RFC 9728, 5.1 say. Its scope
// names all that is needed, not only what lacks.
func (ru Rules) Challenge(scheme, errorCode string, r Resource) string {
	var b strings.Builder
	b.WriteString(scheme + " ")
	if errorCode != "" {
		b.WriteString(`error="` + errorCode + `", `)
	}
	origin, base := ru.split()
	b.WriteString(`resource_metadata="` + origin + metadataPath + base + r.Path + `"`)
	if scopes := ru.scopesOf(r); len(scopes) > 0 {
		b.WriteString(`, scope="` + strings.Join(scopes, " ") + `"`)
	}
	return b.String()
}
