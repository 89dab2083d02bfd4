package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"gatehouse/internal/contract"
	"gatehouse/test/freeport"
)

const offerPolicy = `default: deny
rules:
  - {name: readers, servers: [files], tools: [say], roles: [reader]}
  - {name: scoped, servers: [files], tools: [say], roles: [writer], scopes: [files.write]}
  - {name: everybody, servers: [free], tools: ["*"]}
`

// TestEachPersonIsOfferedWhatIsOpenToThem: a server by its entry's roles and by
// the policy, a tool when it has been listed and the policy shows it.
func TestEachPersonIsOfferedWhatIsOpenToThem(t *testing.T) {
	signers, dir := newSigners(t), t.TempDir()
	policy, config := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "mcp.json")
	entry := fmt.Sprintf(`{"command": %q, "env": {%q: "1"}`, os.Args[0], childMode)
	for path, text := range map[string]string{
		policy: offerPolicy,
		config: `{"mcpServers": {"files": ` + entry + `}, "free": ` + entry + `, "gatehouse": {"roles": ["reader", "guest"]}},
			"closed": ` + entry + `}, "broken": {"command": 7}}}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base := startArgs(t, "--admin-listen", freeport.Addr(t), "--config", config, "--policy", policy,
		"--identity", "signed", "--identity-keys", signers.URL+contract.PathKeys)
	who := func(roles ...string) string {
		return signers.assertion(t, contract.Identity{Subject: "u", Roles: roles})
	}
	file := contract.Server{Name: "files", Path: "/servers/files/mcp", Tools: []string{}}
	free := contract.Server{Name: "free", Path: "/servers/free/mcp", Tools: []string{}}
	offers := func(when string, want map[string][]contract.Server) {
		t.Helper()
		for role, list := range want {
			if got := offered(t, base, who(role)); !reflect.DeepEqual(got, list) {
				t.Errorf("%s %q is offered %+v, want %+v", when, role, got, list)
			}
		}
	}
	all, none := contract.Server{Path: "/mcp", Tools: []string{}}, []contract.Server{}
	offers("at first", map[string][]contract.Server{
		"reader": {all, file, free}, "writer": {file}, "guest": {free}, "nobody": none,
	})
	for _, name := range []string{"files", "free"} {
		p := modernPeer{base + "/servers/" + name}
		if a := p.call(t, who("reader"), "tools/list", "", `{}`); a.Error != nil {
			t.Fatalf("%s: %+v", name, a.Error)
		}
	}
	file.Tools = []string{"say"}
	free.Tools = offered(t, base, who("guest"))[0].Tools
	if len(free.Tools) < 2 {
		t.Errorf("of the free server %q are told", free.Tools)
	}
	offers("when the tools are known", map[string][]contract.Server{
		"reader": {all, file, free}, "writer": {file}, "guest": {free}, "nobody": none,
	})
	res, err := http.Get(base + contract.PathServers)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without an assertion: %s", res.Status)
	}
}

// offered is what the bridge tells authsvc of a person.
func offered(t *testing.T, base, assertion string) []contract.Server {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, base+contract.PathServers, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(contract.HeaderAssertion, assertion)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var m contract.Servers
	if err := json.NewDecoder(res.Body).Decode(&m); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", res.Status, err)
	}
	return m.Servers
}
