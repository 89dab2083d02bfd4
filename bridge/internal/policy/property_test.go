package policy_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/bridge/internal/policy"
	"gatehouse/bridge/internal/policy/policytest"
)

// TestListsAndCallsAgree: for any policy and user, a list shows exactly what a
// call may reach, and both are what the model says. The test of the program
// holds the same through every front.
func TestListsAndCallsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := policytest.Cases().Draw(t, "case")
		p, err := policy.Parse([]byte(c.YAML()))
		if err != nil {
			t.Fatalf("%v\n%s", err, c.YAML())
		}
		shown := listed(t, p, c)
		for _, tool := range policytest.Names() {
			want := c.Allows("tools", tool)
			if d := p.Decide(&c.User, "s", policy.Tool, tool, nil); (d.Outcome == policy.Allowed) != want {
				t.Errorf("%s: %v by %s, the model says %v\n%s", tool, d.Outcome, d.Rule, want, c.YAML())
			}
			if shown[tool] != want {
				t.Errorf("%s: shown %v, the model says %v\n%s", tool, shown[tool], want, c.YAML())
			}
		}
	})
}

func listed(t *rapid.T, p *policy.Policy, c policytest.Case) map[string]bool {
	type tool struct {
		Name string `json:"name"`
	}
	var result struct {
		Tools []tool `json:"tools"`
	}
	for _, name := range policytest.Names() {
		result.Tools = append(result.Tools, tool{name})
	}
	message, _ := json.Marshal(result)
	filtered, err := p.FilterResult(&c.User, "s", "tools/list", message)
	if err != nil {
		t.Fatal(err)
	}
	result.Tools = nil
	if err := json.Unmarshal(filtered, &result); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, tool := range result.Tools {
		shown[tool.Name] = true
	}
	return shown
}
