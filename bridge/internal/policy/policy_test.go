package policy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/policy"
	"gatehouse/internal/contract"
	"gatehouse/test/work"
)

const sample = `default: deny
rules:
  - name: readers
    servers: [slack]
    tools: ["slack_list_*", slack_get_users]
    prompts: ["*"]
    resources: ["file:///docs/**"]
    roles: [mcp-user]
    scopes: [mcp.access]
  - name: writers
    tools: [send_message]
    roles: [mcp-user]
    scopes: [mcp.access, slack.write]
    when: args.channel != "general" && user.email.endsWith("@example.com")
    limit: {per_minute: 60, in_flight: 2}
    log_arguments: true
  - name: admins
    tools: ["**"]
    roles: [mcp-admin]
  - name: never
    tools: ["danger*"]
    deny: true
`

func mustParse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func user(roles, scopes string) *contract.Identity {
	return &contract.Identity{
		Subject: "u-1", Email: "alice@example.com",
		Roles: strings.Fields(roles), Scopes: strings.Fields(scopes), Expires: time.Unix(2e9, 0),
	}
}

func TestDecide(t *testing.T) {
	p := mustParse(t, sample)
	alice, bob := user("mcp-user", "mcp.access"), user("mcp-user mcp-admin", "mcp.access")
	writer := user("mcp-user", "mcp.access slack.write")
	cases := map[string]struct {
		user         *contract.Identity
		server       string
		kind         policy.Kind
		name, args   string
		want         policy.Outcome
		rule, scopes string
	}{
		"a glob grants": {
			alice,
			"slack",
			policy.Tool,
			"slack_list_channels",
			"",
			policy.Allowed,
			"readers",
			"",
		},
		"an exact name grants": {alice, "slack", policy.Tool, "slack_get_users", "", policy.Allowed, "readers", ""},
		"another server":       {alice, "files", policy.Tool, "slack_list_channels", "", policy.Denied, "admins", ""},
		"no role": {
			user("", "mcp.access"),
			"slack",
			policy.Tool,
			"slack_get_users",
			"",
			policy.Denied,
			"readers",
			"",
		},
		"a scope is what is missing": {
			alice,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"dev"}`,
			policy.MissingScope,
			"writers",
			"mcp.access slack.write",
		},
		"a scope would not cure": {
			alice,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"general"}`,
			policy.Denied,
			"writers",
			"",
		},
		"the condition holds": {
			writer,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"dev"}`,
			policy.Allowed,
			"writers",
			"",
		},
		"the condition fails": {
			writer,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"general"}`,
			policy.Denied,
			"writers",
			"",
		},
		"the condition has no value": {writer, "slack", policy.Tool, "send_message", `{}`, policy.Denied, "writers", ""},
		"an argument twice": {
			writer,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"dev","channel":"general"}`,
			policy.Denied,
			"writers",
			"",
		},
		"an argument in two cases": {
			writer,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"dev","Channel":"general"}`,
			policy.Denied,
			"writers",
			"",
		},
		"two cases, neither lower": {
			writer,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"dev","x":{"Ab":1,"aB":2}}`,
			policy.Denied,
			"writers",
			"",
		},
		"a name in upper case": {
			writer,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"dev","threadTS":1}`,
			policy.Allowed,
			"writers",
			"",
		},
		"arguments are no object": {
			writer,
			"slack",
			policy.Tool,
			"send_message",
			`["dev"]`,
			policy.Denied,
			"writers",
			"",
		},
		"the next rule grants": {
			bob,
			"slack",
			policy.Tool,
			"send_message",
			`{"channel":"general"}`,
			policy.Allowed,
			"admins",
			"",
		},
		"deny wins":                  {bob, "slack", policy.Tool, "danger_zone", "", policy.Denied, "never", ""},
		"a tool rule is no prompt's": {bob, "files", policy.Prompt, "x", "", policy.Denied, "default", ""},
		"a resource below": {
			alice,
			"slack",
			policy.Resource,
			"file:///docs/a/b.md",
			"",
			policy.Allowed,
			"readers",
			"",
		},
		"dot segments": {
			alice,
			"slack",
			policy.Resource,
			"file:///docs/../etc/passwd",
			"",
			policy.Denied,
			"default",
			"",
		},
		"encoded dot segments": {
			alice,
			"slack",
			policy.Resource,
			"file:///docs/%2E%2e/etc/passwd",
			"",
			policy.Denied,
			"default",
			"",
		},
		"a name that only looks like": {alice, "slack", policy.Tool, "Slack_get_users", "", policy.Denied, "admins", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := p.Decide(tc.user, tc.server, tc.kind, tc.name, []byte(tc.args))
			if d.Outcome != tc.want || d.Rule != tc.rule || strings.Join(d.Scopes, " ") != tc.scopes {
				t.Errorf(
					"decision = %v by %s, scopes %v; want %v by %s, scopes %q",
					d.Outcome, d.Rule, d.Scopes, tc.want, tc.rule, tc.scopes,
				)
			}
		})
	}
}

func TestDefaultAllow(t *testing.T) {
	p := mustParse(
		t,
		"default: allow\nrules:\n- {name: no, tools: ['rm*'], deny: true, when: '!(\"mcp-admin\" in user.roles)'}\n- {name: scoped, tools: [send], scopes: [w]}\n",
	)
	alice, bob := user("mcp-user", ""), user("mcp-admin", "")
	for _, tc := range []struct {
		user *contract.Identity
		tool string
		want policy.Outcome
	}{{alice, "any", policy.Allowed}, {alice, "rm_all", policy.Denied}, {bob, "rm_all", policy.Allowed}, {bob, "send", policy.MissingScope}} {
		if d := p.Decide(tc.user, "s", policy.Tool, tc.tool, nil); d.Outcome != tc.want {
			t.Errorf("%v %s: %v by %s, want %v", tc.user.Roles, tc.tool, d.Outcome, d.Rule, tc.want)
		}
	}
}

// TestExpensiveConditionRefuses: 25 million steps cost little more than 40,000,
// which are too many as well.
func TestExpensiveConditionRefuses(t *testing.T) {
	p := mustParse(
		t,
		"default: deny\nrules:\n- {name: slow, tools: [t], when: 'args.a.all(x, args.a.all(y, x != y + 1))'}\n",
	)
	cost := func(n int) time.Duration {
		args := []byte(`{"a":[` + strings.Repeat("7,", n-1) + `7]}`)
		return work.Of(func() {
			if d := p.Decide(user("", ""), "s", policy.Tool, "t", args); d.Outcome != policy.Denied {
				t.Errorf("%d values: %v, want denied", n, d.Outcome)
			}
		})
	}
	plain, long := cost(200), cost(5000)
	if long > 50*plain {
		t.Errorf("the refusal took %v of a processor, and %v with a 625th of the steps", long, plain)
	}
}

// faultyFile is a file with one fault, and what is to be said of it.
type faultyFile struct {
	text         string
	line, column int
	field, says  string
}

func faultyFiles() map[string]faultyFile {
	rule := func(field string) string {
		return "default: deny\nrules:\n  - name: a\n    tools: [x]\n    " + field + "\n"
	}
	return map[string]faultyFile{
		"unknown key":       {rule("role: [x]"), 5, 5, "rules[0].role", `unknown field "role"`},
		"key twice":         {rule("tools: [y]"), 5, 5, "", "already defined"},
		"wrong type":        {rule("deny: [1]"), 5, 11, "rules[0].deny", "want true or false"},
		"text for a list":   {rule("roles: mcp-user"), 5, 12, "rules[0].roles", `is "mcp-user"; want a list, such as [mcp-user]`},
		"keys for a list":   {"default: deny\nrules:\n  name: a\n", 3, 7, "rules", "want a list of rules"},
		"text for a rule":   {"default: deny\nrules: [a]\n", 2, 9, "rules[0]", "want a rule"},
		"text for a number": {rule("limit: {per_minute: many}"), 5, 25, "rules[0].limit.per_minute", `is "many"; want a whole number`},
		"list for a text":   {rule("when: [a]"), 5, 11, "rules[0].when", "this is a list; want a condition"},
		"list at the top":   {"- default: deny\n", 1, 1, "", "want the keys default and rules"},
		"not YAML":          {"default: deny\nrules: [\n", 2, 8, "", ""},
		"no default":        {"rules: []\n", 1, 1, "default", "say deny or allow"},
		"wrong default":     {"default: block\n", 1, 10, "default", `"block"`},
		"type of condition": {rule("when: user.emial == 'x'"), 5, 11, "rules[0].when", "undeclared reference"},
		"not a bool":        {rule("when: user.email"), 5, 11, "rules[0].when", "want bool"},
		"comparing types":   {rule("when: user.email == 3"), 5, 11, "rules[0].when", "no matching overload"},
		"empty roles":       {rule("roles: []"), 5, 12, "rules[0].roles", "empty list"},
		"empty glob":        {rule("prompts: ['']"), 5, 15, "rules[0].prompts[0]", "is empty"},
		"role with comma":   {rule("roles: ['a,b']"), 5, 13, "rules[0].roles[0]", "comma"},
		"limit of nothing":  {rule("limit: {per_minute: 0}"), 5, 13, "rules[0].limit", "1 or more"},
		"deny with scopes":  {rule("deny: true\n    scopes: [x]"), 5, 11, "rules[0].deny", "takes no scopes"},
		"name twice":        {rule("") + "  - name: a\n    tools: [y]\n", 6, 11, "rules[1].name", "taken"},
		"covers nothing":    {"default: deny\nrules:\n  - name: a\n", 3, 5, "rules[0]", "covers nothing"},
		"anchor":            {"default: &d deny\n", 1, 10, "", "anchors"},
		"two documents":     {"default: deny\n---\ndefault: allow\n", 0, 0, "", "one YAML document"},
		"empty":             {"", 0, 0, "", "one YAML document"},
	}
}

func TestFaultsSayWhere(t *testing.T) {
	for name, tc := range faultyFiles() {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Parse([]byte(tc.text))
			var fault *policy.Error
			if !errors.As(err, &fault) {
				t.Fatalf("err = %v, want a *policy.Error", err)
			}
			if fault.Line != tc.line || fault.Column != tc.column || fault.Field != tc.field ||
				!strings.Contains(fault.Msg, tc.says) {
				t.Errorf(
					"fault = %q (field %q), want line %d, column %d, field %q, saying %q",
					fault, fault.Field, tc.line, tc.column, tc.field, tc.says,
				)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := policy.Parse([]byte("default: x\nrules:\n  - {name: '', tools: [a], when: '1'}\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("err = %v, want three faults", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	for _, bad := range faultyFiles() {
		f.Add(bad.text)
	}
	f.Add("default: allow")
	f.Add("default: deny\nrules:\n- {name: a, tools: ['*'], when: 'args.x in [1]'}")
	f.Add("a: &a [*a]")
	f.Add("? [x]\n: {<<: {}}\n---\n!!binary x")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policy.Parse([]byte(text))
		if err == nil {
			p.Decide(user("mcp-user", "mcp.access"), "slack", policy.Tool, "send_message", []byte(`{"channel":"x"}`))
			return
		}
		if err.Error() == "" {
			t.Error("a fault without a word")
		}
	})
}

// TestArgumentsAreThoseOfTheCall: what a client adds where no server looks for
// arguments meets no condition.
func TestArgumentsAreThoseOfTheCall(t *testing.T) {
	p := mustParse(
		t,
		"default: deny\nrules:\n- {name: dev, prompts: [p], resources: ['x:/a'], when: args.team == 'dev'}\n",
	)
	for params, method := range map[string]string{
		`{"ref":{"type":"ref/prompt","name":"p","arguments":{"team":"dev"}},"argument":{"name":"team","value":"ops"}}`: "completion/complete",
		`{"uri":"x:/a","arguments":{"team":"dev"}}`: "resources/read",
	} {
		items, err := policy.AppendItems(nil, method, []byte(params))
		if err != nil || len(items) != 1 {
			t.Fatalf("%s: %v, %v", method, items, err)
		}
		if d := p.Decide(user("", ""), "s", items[0].Kind, items[0].Name, items[0].Args); d.Outcome != policy.Denied {
			t.Errorf("%s: %v by arguments that the server never reads", method, d.Outcome)
		}
	}
}
