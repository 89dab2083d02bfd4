package policy

import (
	"slices"

	"gatehouse/internal/contract"
)

// Kind is what a name names.
type Kind uint8

// The kinds of things that a server offers, and the methods that are about none
// of them.
const (
	Tool Kind = iota
	Prompt
	Resource
	Method
	kinds
)

func (k Kind) String() string { return [...]string{"tool", "prompt", "resource", "method"}[k] }

// Outcome is what becomes of a call.
type Outcome uint8

// A call that is not allowed never reaches the child. MissingScope does not
// mean that the scope can be had, only that with it the call would be allowed.
const (
	Denied Outcome = iota // the zero value is the safe one
	MissingScope
	Limited
	Allowed
)

func (o Outcome) String() string {
	return [...]string{"denied", "missing_scope", "limited", "allowed"}[o]
}

// DefaultRule is the rule's name in a decision that no rule made.
const DefaultRule = "default"

// Decision is the answer to one question.
type Decision struct {
	Outcome      Outcome
	Rule         string   // the rule that decided, or DefaultRule
	Scopes       []string // what the rule asks for, where the outcome is MissingScope
	LogArguments bool     // the audit log may hold the arguments themselves
	limit        *limit
}

// Policy is a compiled policy. It does not change and is safe for concurrent
// use.
type Policy struct {
	allow bool // the default
	rules []*rule
	memo  memo
}

type rule struct {
	name         string
	servers      globs
	names        [kinds]globs
	roles        []string
	scopes       []string
	when         *expr
	deny         bool
	limit        *limit
	logArguments bool
}

func (r *rule) covers(server string, kind Kind, name string) bool {
	return r.names[kind].match(name) && (r.servers == nil || r.servers.match(server))
}

// Rules is the number of rules.
func (p *Policy) Rules() int { return len(p.rules) }

// DefaultAllows reports whether what no rule covers is allowed.
func (p *Policy) DefaultAllows() bool { return p.allow }

// Decide answers whether the caller may call a tool, get a prompt or read a
// resource. args are the raw arguments of the call, or nil. It does not count
// limits: Limits does.
func (p *Policy) Decide(user *contract.Identity, server string, kind Kind, name string, args []byte) Decision {
	return p.decide(&query{user: user, server: server, kind: kind, name: name, raw: args})
}

// Visible answers whether a list shows the item to the caller: whether there
// may be arguments with which Decide allows it.
func (p *Policy) Visible(user *contract.Identity, server string, kind Kind, name string) bool {
	return p.decide(&query{user: user, server: server, kind: kind, name: name, list: true}).Outcome == Allowed
}

// Offers answers as Visible does, but for an item whose scope the caller can yet
// ask for: a browser's sign-in has not the scopes of a client's.
func (p *Policy) Offers(user *contract.Identity, server string, kind Kind, name string) bool {
	outcome := p.decide(&query{user: user, server: server, kind: kind, name: name, list: true}).Outcome
	return outcome == Allowed || outcome == MissingScope
}

// Reaches answers whether there may be anything of a server that the caller may
// use: by the default, or by a rule that grants to one of their roles.
func (p *Policy) Reaches(user *contract.Identity, server string) bool {
	return p.allow || slices.ContainsFunc(p.rules, func(r *rule) bool {
		return !r.deny && (r.servers == nil || r.servers.match(server)) && r.hasRole(user)
	})
}

// holds reports whether the condition of a rule is met, and takes one that
// fails for one that makes the rule refuse. A list has no arguments to look at:
// a condition on them may yet be met where it grants, and may yet not be where
// it denies.
func (r *rule) holds(q *query) bool {
	if r.when == nil {
		return true
	}
	if q.list && r.when.usesArgs {
		return !r.deny
	}
	ok, err := r.when.eval(q.variables())
	if err != nil {
		return r.deny
	}
	return ok
}

func (p *Policy) decide(q *query) Decision {
	if q.kind == Resource && (disguised(q.name) || misspelt(q.name) && p.guards(q.server)) {
		return Decision{Outcome: Denied, Rule: DefaultRule}
	}
	covering := p.covering(q.server, q.kind, q.name)
	if len(covering) == 0 {
		if p.allow {
			return Decision{Outcome: Allowed, Rule: DefaultRule}
		}
		return Decision{Outcome: Denied, Rule: DefaultRule}
	}
	var granted, missing *rule
	for _, r := range covering { // those that deny come first
		if !r.hasRole(q.user) || !r.deny && granted != nil || !r.holds(q) {
			continue
		}
		switch {
		case r.deny:
			return Decision{Outcome: Denied, Rule: r.name}
		case r.hasScopes(q.user):
			granted = r
		case missing == nil:
			missing = r
		}
	}
	switch {
	case granted != nil:
		return Decision{Outcome: Allowed, Rule: granted.name, LogArguments: granted.logArguments, limit: granted.limit}
	case missing != nil:
		return Decision{Outcome: MissingScope, Rule: missing.name, Scopes: missing.scopes}
	}
	return p.uncovered(covering)
}

// uncovered decides where no rule that covers the item holds. An item that
// only deny rules cover is as the default says: they take away, nothing else.
func (p *Policy) uncovered(covering []*rule) Decision {
	for _, r := range covering {
		if !r.deny {
			return Decision{Outcome: Denied, Rule: r.name}
		}
	}
	if p.allow {
		return Decision{Outcome: Allowed, Rule: DefaultRule}
	}
	return Decision{Outcome: Denied, Rule: DefaultRule}
}

func (r *rule) hasRole(user *contract.Identity) bool {
	if len(r.roles) == 0 {
		return true
	}
	for _, role := range r.roles {
		if user.HasRole(role) {
			return true
		}
	}
	return false
}

func (r *rule) hasScopes(user *contract.Identity) bool {
	for _, scope := range r.scopes {
		if !user.HasScope(scope) {
			return false
		}
	}
	return true
}
