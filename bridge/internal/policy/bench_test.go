package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/bridge/internal/policy"
)

// rules200 is a policy of 200 rules of which the last grants.
func rules200(last string) string {
	var b strings.Builder
	b.WriteString("default: deny\nrules:\n")
	for i := range 199 {
		fmt.Fprintf(
			&b, "- {name: r%d, servers: [srv], tools: ['tool_%d_*', 'get_%d'], roles: [role-%d], scopes: [mcp.access]}\n",
			i, i, i, i,
		)
	}
	fmt.Fprintf(&b, "- {name: last, servers: [srv], tools: ['send_*'], roles: [mcp-user], scopes: [mcp.access]%s}\n", last)
	return b.String()
}

func BenchmarkDecide(b *testing.B) {
	args := []byte(`{"channel":"dev","text":"hello there","thread":12}`)
	alice := user("offline_access mcp-user", "openid email mcp.access")
	for name, policyText := range map[string]string{
		"plain": rules200(""),
		"cel":   rules200(`, when: 'args.channel != "general" && user.email.endsWith("@example.com")'`),
	} {
		p := mustParse(b, policyText)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := p.Decide(alice, "srv", policy.Tool, "send_message", args); d.Outcome != policy.Allowed {
					b.Fatal(d)
				}
			}
		})
	}
}
