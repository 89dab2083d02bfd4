package policy

import (
	"errors"
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
)

const maxRules = 10_000

// Parse reads and compiles a policy file. It returns every fault that it
// finds, joined; each is an *Error with the line and column.
func Parse(text []byte) (*Policy, error) {
	doc, src, err := readDocument(text)
	if err != nil {
		return nil, err
	}
	env, err := newEnv()
	if err != nil {
		return nil, err
	}
	c := compiler{src: src, env: env, names: map[string]bool{DefaultRule: true}}
	p := &Policy{allow: doc.Default == "allow"}
	if doc.Default != "allow" && doc.Default != "deny" {
		c.fault(fmt.Sprintf("is %q; say deny or allow: what becomes of an item that no rule covers", doc.Default),
			"default")
	}
	if len(doc.Rules) > maxRules {
		c.fault(fmt.Sprintf("there are %d, at most %d fit", len(doc.Rules), maxRules), "rules")
		doc.Rules = nil
	}
	for i := range doc.Rules {
		p.rules = append(p.rules, c.rule(i, &doc.Rules[i]))
	}
	if len(c.faults) > 0 {
		return nil, errors.Join(c.faults...)
	}
	slices.SortStableFunc(p.rules, func(a, b *rule) int { return denyFirst(a) - denyFirst(b) })
	return p, nil
}

func denyFirst(r *rule) int {
	if r.deny {
		return 0
	}
	return 1
}

type compiler struct {
	src    source
	env    *cel.Env
	names  map[string]bool // of the rules so far
	faults []error
}

func (c *compiler) fault(msg string, path ...any) {
	c.faults = append(c.faults, c.src.fault(path, msg))
}

func (c *compiler) rule(i int, doc *ruleDoc) *rule {
	r := &rule{
		name: doc.Name, roles: doc.Roles, scopes: doc.Scopes, deny: doc.Deny, logArguments: doc.LogArguments,
		servers: c.globs(i, "servers", doc.Servers, false),
		names: [kinds]globs{
			Tool:     c.globs(i, "tools", doc.Tools, false),
			Prompt:   c.globs(i, "prompts", doc.Prompts, false),
			Resource: c.globs(i, "resources", doc.Resources, true),
			Method:   c.globs(i, "methods", doc.Methods, false),
		},
	}
	c.checkName(i, doc.Name)
	c.checkItems(i, "roles", doc.Roles)
	c.checkItems(i, "scopes", doc.Scopes)
	if doc.Tools == nil && doc.Prompts == nil && doc.Resources == nil && doc.Methods == nil {
		c.fault("covers nothing; name tools, prompts, resources or methods", "rules", i)
	}
	if doc.Deny && (doc.Scopes != nil || doc.Limit != nil || doc.LogArguments) {
		c.fault("a rule with deny: true takes no scopes, limit or log_arguments", "rules", i, "deny")
	}
	if doc.When != "" {
		e, err := compileExpr(c.env, doc.When)
		if err != nil {
			c.fault(err.Error(), "rules", i, "when")
		}
		r.when = e
	}
	r.limit = c.limit(i, doc)
	return r
}

func (c *compiler) limit(i int, doc *ruleDoc) *limit {
	if doc.Limit == nil {
		return nil
	}
	l := limit{rule: doc.Name, perMinute: doc.Limit.PerMinute, inFlight: doc.Limit.InFlight}
	if l.perMinute < 0 || l.inFlight < 0 || l.perMinute+l.inFlight == 0 {
		c.fault("needs per_minute or in_flight of 1 or more", "rules", i, "limit")
	}
	return &l
}

func (c *compiler) globs(i int, field string, patterns []string, slashes bool) globs {
	if patterns == nil {
		return nil
	}
	if len(patterns) == 0 {
		c.fault("is an empty list; leave it out, or write \"*\" to match all", "rules", i, field)
	}
	out := make(globs, 0, len(patterns))
	for n, pattern := range patterns {
		if slashes {
			pattern = spelledGlob(pattern)
		}
		g, err := compileGlob(pattern, slashes)
		if err != nil {
			c.fault(err.Error(), "rules", i, field, n)
		}
		out = append(out, g)
	}
	return out
}

// checkName keeps rule names fit for logs, metrics and an error's text.
func (c *compiler) checkName(i int, name string) {
	plain := name != "" && len(name) <= 64
	for _, b := range []byte(name) {
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		plain = plain && (letter || b == '-' || b == '_' || b == '.')
	}
	switch {
	case !plain:
		c.fault(fmt.Sprintf("is %q; want 1 to 64 of a-z, A-Z, 0-9, dot, dash and underscore", name), "rules", i, "name")
	case c.names[name]:
		c.fault(fmt.Sprintf("%q is taken; each rule needs a name of its own", name), "rules", i, "name")
	}
	c.names[name] = true
}

// checkItems refuses an empty list, which reads like "nobody" and would mean
// everybody, and what can never be in an identity.
func (c *compiler) checkItems(i int, field string, items []string) {
	if items != nil && len(items) == 0 {
		c.fault("is an empty list; leave it out to ask for none", "rules", i, field)
	}
	for n, item := range items {
		if !plainItem(item) {
			c.fault(fmt.Sprintf("%q is empty or holds a space, comma, quote or control byte", item), "rules", i, field, n)
		}
	}
}

// plainItem accepts what fits the scope of a challenge (RFC 6749, 3.3).
func plainItem(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' || s[i] == ',' {
			return false
		}
	}
	return s != ""
}
