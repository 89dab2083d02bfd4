package policy_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/bridge/internal/policy"
	"gatehouse/test/work"
)

const guarded = `default: deny
rules:
- {name: docs, servers: [s], resources: ["file:///docs/**", "https://Example.com/**", "db://Users/*", "x:/a*"]}
- {name: never, servers: [s], deny: true, resources:
  ["file:///docs/private/**", "https://example.com/private/**", "file:///docs/a(b)", "**/Secret/**", "**/%2A"]}
`

// TestNoOtherSpellingPassesARule: what a server takes for the same resource has
// the same answer, or none.
func TestNoOtherSpellingPassesARule(t *testing.T) {
	p := mustParse(t, guarded)
	for uri, want := range map[string]policy.Outcome{
		"file:///docs/x":                   policy.Allowed,
		"file:///docs/dir/":                policy.Allowed,
		"file:///docs/my%20notes":          policy.Allowed,
		"file:///docs/my notes":            policy.Allowed,
		"file:///docs/caf%C3%A9":           policy.Allowed,
		"FILE:///docs/x":                   policy.Allowed,
		"file:/docs/x":                     policy.Allowed,
		"file://LocalHost/docs/x":          policy.Allowed,
		"https://EXAMPLE.com/x?u=http://y": policy.Allowed,
		"db://users/7":                     policy.Allowed,
		"X:/ab":                            policy.Allowed,
		"file:///docs/private/x":           policy.Denied,
		"file:///docs//private/x":          policy.Denied,
		"file:////docs/private/x":          policy.Denied,
		"file:///docs/%70rivate/x":         policy.Denied,
		"file:///docs/%7E/x":               policy.Denied,
		"file:///docs/pri\tvate/x":         policy.Denied,
		"file:///docs/private/x ":          policy.Denied,
		"File:///docs/private/x":           policy.Denied,
		"file:/docs/private/x":             policy.Denied,
		"file://localhost/docs/private/x":  policy.Denied,
		"file:///docs?/../private/x":       policy.Denied,
		"file:///docs?/..//private/x":      policy.Denied,
		"file:///docs/a%28b%29":            policy.Denied,
		"file:///docs/Secret/x":            policy.Denied,
		"file:///docs/*":                   policy.Denied,
		"file:///docs/%2a":                 policy.Denied,
		"file:///DOCS/x":                   policy.Denied,
		"https://EXAMPLE.com/private/x":    policy.Denied,
		"https://example.com//private/x":   policy.Denied,
		"https://example.com/http://y":     policy.Denied,
		"//example.com/x":                  policy.Denied,
		"docs//x":                          policy.Denied,
	} {
		if d := p.Decide(user("", ""), "s", policy.Resource, uri, nil); d.Outcome != want {
			t.Errorf("%q: %v by %s, want %v", uri, d.Outcome, d.Rule, want)
		}
	}
}

// TestWhereNoRuleSpeaksOfResourcesSpellingIsFree: a policy that guards tools
// alone, or resources of another server, changes no resource's answer.
func TestWhereNoRuleSpeaksOfResourcesSpellingIsFree(t *testing.T) {
	p := mustParse(t, strings.Replace(guarded, "default: deny", "default: allow", 1))
	for _, uri := range []string{"x://y/http://z", "file:///docs//private/x", "x://a/%41"} {
		if d := p.Decide(user("", ""), "another", policy.Resource, uri, nil); d.Outcome != policy.Allowed {
			t.Errorf("%q: %v by %s, want allowed", uri, d.Outcome, d.Rule)
		}
	}
	if d := p.Decide(user("", ""), "another", policy.Resource, "x://y/../z", nil); d.Outcome != policy.Denied {
		t.Errorf("dot segments: %v, want denied", d.Outcome)
	}
}

// TestCaseAndEncodingOfAURIDecideNothing: no spelling of a URI that RFC 3986
// calls equal has another rule than the plain one; refused it may be.
func TestCaseAndEncodingOfAURIDecideNothing(t *testing.T) {
	p := mustParse(t, guarded)
	rapid.Check(t, func(t *rapid.T) {
		origin := rapid.SampledFrom([]string{"file://", "https://example.com"}).Draw(t, "origin")
		path := rapid.StringMatching(`(/(docs|private|a\(b\)|x|Secret)){1,4}`).Draw(t, "path")
		var other strings.Builder
		for i, b := range []byte(origin + path) {
			switch {
			case i < len(origin) && rapid.Bool().Draw(t, "upper"):
				other.WriteString(strings.ToUpper(string(b)))
			case strings.ContainsRune("()", rune(b)) && rapid.Bool().Draw(t, "encoded"):
				other.WriteString(map[byte]string{'(': "%28", ')': "%29"}[b])
			default:
				other.WriteByte(b)
			}
		}
		plain := p.Decide(user("", ""), "s", policy.Resource, origin+path, nil)
		if got := p.Decide(user("", ""), "s", policy.Resource, other.String(), nil); got.Outcome != plain.Outcome {
			t.Errorf("%s: %v, but %s: %v", origin+path, plain.Outcome, other.String(), got.Outcome)
		}
	})
}

// TestAHostileURICostsLittle: the URI is the client's.
func TestAHostileURICostsLittle(t *testing.T) {
	p := mustParse(t, guarded)
	took := work.Of(func() {
		for _, part := range []string{"A", "%28", "/a", "@", "%2A", "//", ":", "%"} {
			for _, origin := range []string{"", "file:///docs/", "HTTPS://Example.com", "x:"} {
				p.Decide(user("", ""), "s", policy.Resource, origin+strings.Repeat(part, 1<<18), nil)
			}
		}
	})
	if took > 2*time.Second {
		t.Errorf("took %v of a processor", took)
	}
}

// FuzzResource: whatever the client writes, it is read without a fault, and a
// policy that denies everything grants nothing.
func FuzzResource(f *testing.F) {
	for _, uri := range []string{"file:///a", "%", "%4", "a:", "A://B@C/%zz", "://", "file:/%2a*"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		none := mustParse(t, "default: allow\nrules:\n- {name: no, deny: true, resources: ['**']}\n")
		if d := none.Decide(user("", ""), "s", policy.Resource, uri, nil); d.Outcome != policy.Denied {
			t.Errorf("%q: %v", uri, d.Outcome)
		}
	})
}
