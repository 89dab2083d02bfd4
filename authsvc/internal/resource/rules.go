package resource

import (
	"slices"
	"strings"

	"gatehouse/internal/contract"
)

// Rules is what a caller must show.
type Rules struct {
	PublicURL string
	Audience  string   // opens the gate, as PublicURL and its paths do; "" for none beside them
	Scopes    []string // each access token must have all
	Role      string   // each caller must have it; "" for none
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
		if r, ok := Announced(path); ours && (ok || path == message) {
			reach = reach.with(r)
		} else if r := Of(path); ours && r.Server != "" { // its /message
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

// ScopesOK reports whether the caller's token has what it must have.
func (ru Rules) ScopesOK(id contract.Identity) bool {
	for _, s := range ru.Scopes {
		if !id.HasScope(s) {
			return false
		}
	}
	return true
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
	b.WriteString(`resource_metadata="` + ru.PublicURL + metadataPath + r.Path + `"`)
	if len(ru.Scopes) > 0 {
		b.WriteString(`, scope="` + strings.Join(ru.Scopes, " ") + `"`)
	}
	return b.String()
}
