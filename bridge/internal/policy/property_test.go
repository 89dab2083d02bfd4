package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/bridge/internal/policy"
	"gatehouse/internal/contract"
)

// model is the policy's meaning, said again as plainly as can be: globs are
// only "x", "x*" or "*", conditions only on the user's email.
type model struct {
	allow bool
	rules []modelRule
}

type modelRule struct {
	tool, role, scope, email string
	deny                     bool
}

func (m model) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "default: %s\nrules:\n", map[bool]string{true: "allow", false: "deny"}[m.allow])
	for i, r := range m.rules {
		fmt.Fprintf(&b, "- name: r%d\n  tools: [%q]\n  deny: %v\n", i, r.tool, r.deny)
		for field, value := range map[string]string{"roles": r.role, "scopes": r.scope} {
			if value != "" {
				fmt.Fprintf(&b, "  %s: [%s]\n", field, value)
			}
		}
		if r.email != "" {
			fmt.Fprintf(&b, "  when: user.email == '%s'\n", r.email)
		}
	}
	return b.String()
}

func (m model) allows(u *contract.Identity, tool string) bool {
	granted, covered := false, false
	for _, r := range m.rules {
		prefix, star := strings.CutSuffix(r.tool, "*")
		if star && !strings.HasPrefix(tool, prefix) || !star && tool != r.tool {
			continue
		}
		holds := (r.role == "" || u.HasRole(r.role)) && (r.email == "" || r.email == u.Email)
		if r.deny {
			if holds {
				return false
			}
			continue
		}
		covered = true
		granted = granted || holds && (r.scope == "" || u.HasScope(r.scope))
	}
	return granted || !covered && m.allow
}

// TestListsAndCallsAgree: for any policy and user, a list shows exactly what a
// call may reach, and both are what the model says.
func TestListsAndCallsAgree(t *testing.T) {
	roles, scopes := []string{"", "user", "admin"}, []string{"", "read", "write"}
	tools := []string{"a", "ab", "abc", "b", "ba", "*x"}
	rapid.Check(t, func(t *rapid.T) {
		m := model{allow: rapid.Bool().Draw(t, "allow")}
		for range rapid.IntRange(0, 6).Draw(t, "rules") {
			r := modelRule{
				tool:  rapid.SampledFrom([]string{"a", "ab", "a*", "*", "b*", "abc", "zz"}).Draw(t, "tool"),
				role:  rapid.SampledFrom(roles).Draw(t, "role"),
				email: rapid.SampledFrom([]string{"", "", "e@x"}).Draw(t, "email"),
				deny:  rapid.IntRange(0, 3).Draw(t, "deny") == 0,
			}
			if !r.deny {
				r.scope = rapid.SampledFrom(scopes).Draw(t, "scope")
			}
			m.rules = append(m.rules, r)
		}
		u := &contract.Identity{
			Subject: "u", Email: rapid.SampledFrom([]string{"e@x", "f@x"}).Draw(t, "user"),
			Roles:  rapid.SliceOfNDistinct(rapid.SampledFrom(roles[1:]), 0, 2, rapid.ID).Draw(t, "roles"),
			Scopes: rapid.SliceOfNDistinct(rapid.SampledFrom(scopes[1:]), 0, 2, rapid.ID).Draw(t, "scopes"),
		}
		p, err := policy.Parse([]byte(m.yaml()))
		if err != nil {
			t.Fatalf("%v\n%s", err, m.yaml())
		}
		shown := listed(t, p, u, tools)
		for _, tool := range tools {
			want := m.allows(u, tool)
			if d := p.Decide(u, "s", policy.Tool, tool, nil); (d.Outcome == policy.Allowed) != want {
				t.Errorf("%s: %v by %s, the model says %v\n%s", tool, d.Outcome, d.Rule, want, m.yaml())
			}
			if shown[tool] != want {
				t.Errorf("%s: shown %v, the model says %v\n%s", tool, shown[tool], want, m.yaml())
			}
		}
	})
}

func listed(t *rapid.T, p *policy.Policy, u *contract.Identity, tools []string) map[string]bool {
	type tool struct {
		Name string `json:"name"`
	}
	var answer struct {
		Result struct {
			Tools []tool `json:"tools"`
		} `json:"result"`
	}
	for _, name := range tools {
		answer.Result.Tools = append(answer.Result.Tools, tool{name})
	}
	message, _ := json.Marshal(answer)
	filtered, err := p.FilterAnswer(u, "s", "tools/list", message)
	if err != nil {
		t.Fatal(err)
	}
	answer.Result.Tools = nil
	if err := json.Unmarshal(filtered, &answer); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, tool := range answer.Result.Tools {
		shown[tool.Name] = true
	}
	return shown
}
