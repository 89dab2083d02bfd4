package main

import (
	"fmt"
	"io"
	"path/filepath"

	"gatehouse/test/stack"
)

// tell says what to do next, in the order in which people do it.
func tell(out io.Writer, gate *stack.Stack, o opts) {
	ca := filepath.Join(o.dir, "ca.pem")
	_, _ = fmt.Fprintf(
		out,
		`
1. Let your clients trust this gate. Put both lines into your shell's profile:
     export NODE_EXTRA_CA_CERTS=%[5]q
     export SSL_CERT_FILE=%[5]q

2. Connect a client. It signs in by the browser and stays signed in
   (users: alice / %[3]s, and bob / %[4]s, who is an admin):
     Claude Code     claude mcp add --transport http gatehouse %[1]s/mcp
     Codex           codex mcp add gatehouse --url %[1]s/mcp
     Gemini CLI      gemini mcp add --transport http gatehouse %[1]s/mcp
     Claude Desktop  {"mcpServers": {"gatehouse": {"command": "%[8]s", `+
			`"args": ["connect", "--ca", "%[5]s", "%[1]s/mcp"]}}}

3. See who is signed in, and end it:  %[1]s/account

4. Add a colleague:                   make user NAME=carol
   or in Keycloak's console:          %[7]s  (admin / %[9]s; give the user the role mcp-user)

5. A token for curl. It ends after ten minutes:
     TOKEN=$(curl -s %[2]s/protocol/openid-connect/token -d grant_type=password -d client_id=mcp-cli \
       -d scope=openid -d username=alice -d password=%[3]s | jq -r .access_token)
     curl --cacert %[5]q -N -H "Authorization: Bearer $TOKEN" %[1]s/sse

Logs are in %[6]s.
Ctrl-C stops everything.
`,
		gate.URL,
		gate.Issuer,
		stack.Password(stack.Alice),
		stack.Password(stack.Bob),
		ca,
		o.dir,
		fmt.Sprintf(
			"http://127.0.0.1:%d/admin",
			gate.Ports.Keycloak,
		),
		filepath.Join(o.bin, "bridge"),
		stack.Password("admin"),
	)
}
