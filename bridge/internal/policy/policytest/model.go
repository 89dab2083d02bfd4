// Package policytest says the meaning of a policy again, as plainly as can be,
// for properties to hold the real one against: globs are only "x", "x*" and
// "*", conditions only on the user's email.
package policytest

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"gatehouse/internal/contract"
)

// Names are those of the tools, prompts and resources that are asked about.
func Names() []string { return []string{"a", "ab", "abc", "b", "ba", "*x"} }

// Kinds are the fields of a rule that cover something.
func Kinds() []string { return []string{"tools", "prompts", "resources"} }

// Case is a policy and a user.
type Case struct {
	Allow bool // the default
	Rules []Rule
	User  contract.Identity
}

// Rule covers the names of one kind that Glob matches.
type Rule struct {
	Kind, Glob, Role, Scope, Email string
	Deny                           bool
}

// Cases generates policies of up to six rules, and users of one subject.
func Cases() *rapid.Generator[Case] {
	return rapid.Custom(func(t *rapid.T) Case {
		roles, scopes := []string{"user", "admin"}, []string{"read", "write"}
		maybe := func(all []string, what string) string {
			return rapid.SampledFrom(append([]string{""}, all...)).Draw(t, what)
		}
		c := Case{Allow: rapid.Bool().Draw(t, "allow")}
		for range rapid.IntRange(0, 6).Draw(t, "rules") {
			r := Rule{
				Kind: rapid.SampledFrom(Kinds()).Draw(t, "kind"),
				Glob: rapid.SampledFrom([]string{"a", "ab", "a*", "*", "b*", "abc", "zz"}).Draw(t, "glob"),
				Role: maybe(roles, "role"), Email: rapid.SampledFrom([]string{"", "", "e@x"}).Draw(t, "email"),
				Deny: rapid.IntRange(0, 3).Draw(t, "deny") == 0,
			}
			if !r.Deny { // a deny rule takes none
				r.Scope = maybe(scopes, "scope")
			}
			c.Rules = append(c.Rules, r)
		}
		c.User = contract.Identity{
			Subject: "u", Email: rapid.SampledFrom([]string{"e@x", "f@x"}).Draw(t, "user"),
			Roles:  rapid.SliceOfNDistinct(rapid.SampledFrom(roles), 0, 2, rapid.ID).Draw(t, "roles"),
			Scopes: rapid.SliceOfNDistinct(rapid.SampledFrom(scopes), 0, 2, rapid.ID).Draw(t, "scopes"),
		}
		return c
	})
}

// YAML is the policy as a file. A resource's URI is x:// and its name.
func (c Case) YAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "default: %s\nrules:\n", map[bool]string{true: "allow", false: "deny"}[c.Allow])
	for i, r := range c.Rules {
		glob := r.Glob
		if r.Kind == "resources" {
			glob = "x://" + glob
		}
		fmt.Fprintf(&b, "- name: r%d\n  %s: [%q]\n  deny: %v\n", i, r.Kind, glob, r.Deny)
		for field, value := range map[string]string{"roles": r.Role, "scopes": r.Scope} {
			if value != "" {
				fmt.Fprintf(&b, "  %s: [%s]\n", field, value)
			}
		}
		if r.Email != "" {
			fmt.Fprintf(&b, "  when: user.email == '%s'\n", r.Email)
		}
	}
	return b.String()
}

// Allows is what the policy means for its user.
func (c Case) Allows(kind, name string) bool {
	granted, covered := false, false
	for _, r := range c.Rules {
		prefix, star := strings.CutSuffix(r.Glob, "*")
		if r.Kind != kind || star && !strings.HasPrefix(name, prefix) || !star && name != r.Glob {
			continue
		}
		holds := (r.Role == "" || c.User.HasRole(r.Role)) && (r.Email == "" || r.Email == c.User.Email)
		if r.Deny {
			if holds {
				return false
			}
			continue
		}
		covered = true
		granted = granted || holds && (r.Scope == "" || c.User.HasScope(r.Scope))
	}
	return granted || !covered && c.Allow
}
