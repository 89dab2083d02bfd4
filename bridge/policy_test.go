package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gatehouse/bridge/internal/policy/policytest"
	"gatehouse/internal/contract"
	"gatehouse/test/freeport"
)

const policyCases = 60

// TestNothingRefusedIsShownOrReached: over random policies, users and calls,
// through every front of the running program, a list shows exactly what the
// model of the policy allows, and a call reaches the child exactly then. The
// policy is replaced on disk while the sessions stay open.
func TestNothingRefusedIsShownOrReached(t *testing.T) {
	g := startGoverned(t, "default: deny\n")
	user := contract.Identity{Subject: "u", Email: "e@x"}
	open := g.signers.assertion(t, user)
	eras := map[string]peer{
		"sse": newSSEPeer(t, g.base, open), "streamable": &streamablePeer{base: g.base}, "stateless": modernPeer{g.base},
		"batch": &batchPeer{base: g.base},
	}
	seed := rand.IntN(1 << 30)
	calls := 0
	for i := range policyCases {
		c := policytest.Cases().Example(seed + i)
		g.setPolicy(t, c.YAML())
		g.seen.clear(t)
		assertion := g.signers.assertion(t, c.User)
		for era, p := range eras {
			for _, kind := range policytest.Kinds() {
				shown := list(t, p, assertion, kind)
				for _, name := range policytest.Names() {
					calls++
					want, mark := c.Allows(kind, name), fmt.Sprintf("mark-%d-", calls)
					refused := reach(t, p, assertion, question(era, kind, calls), name, mark)
					if reached := len(g.seen.lines(t, mark)) > 0; shown[name] != want || refused == want || reached != want {
						t.Errorf("%s, %s %q: shown %v, refused %v, reached the child %v; the model allows %v (seed %d)\nuser %+v\n%s",
							era, kind, name, shown[name], refused, reached, want, seed+i, c.User, c.YAML())
					}
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d calls in %d eras under %d policies", calls, len(eras), policyCases)
}

// list asks for all of one kind.
func list(t *testing.T, p peer, assertion, kind string) map[string]bool {
	t.Helper()
	a := p.call(t, assertion, kind+"/list", "", `{}`)
	if a.Error != nil {
		t.Fatalf("%s/list: %+v", kind, a.Error)
	}
	var result map[string]json.RawMessage
	var items []struct{ Name, URI string }
	if json.Unmarshal(a.Result, &result) != nil || json.Unmarshal(result[kind], &items) != nil ||
		string(result["nextCursor"]) != `"c"` {
		t.Fatalf("%s/list: %s", kind, a.Result)
	}
	shown := map[string]bool{}
	for _, item := range items {
		if name, ok := strings.CutPrefix(item.URI, "x://"); ok {
			item.Name = name
		}
		shown[item.Name] = true
	}
	return shown
}

// question is one of the methods by which a thing of the kind is governed.
func question(era, kind string, n int) string {
	methods := map[string][]string{
		"tools": {"tools/call"}, "prompts": {"prompts/get", "completion/complete prompt"},
		"resources": {"resources/read", "completion/complete resource", "resources/subscribe"},
	}[kind]
	if era == "stateless" && kind == "resources" {
		methods = methods[:2] // 2026-07-28 has no subscribe
	}
	return methods[n%len(methods)]
}

// reach asks for one thing with a mark in its params, and tells whether that
// was refused.
func reach(t *testing.T, p peer, assertion, question, name, mark string) bool {
	t.Helper()
	method, ref, _ := strings.Cut(question, " ")
	about := fmt.Sprintf(`"name":%q`, name)
	if ref == "resource" || strings.HasPrefix(method, "resources/") {
		name = "x://" + name
		about = fmt.Sprintf(`"uri":%q`, name)
	}
	if ref != "" {
		about, name = fmt.Sprintf(`"ref":{"type":"ref/%s",%s},"argument":{"name":"a","value":"b"}`, ref, about), ""
	}
	a := p.call(t, assertion, method, name, fmt.Sprintf(`{%s,"arguments":{"mark":%q},"mark":%q}`, about, mark, mark))
	if a.Error != nil && a.Error.Code != -32003 {
		t.Fatalf("%s %s: %+v", question, name, a.Error)
	}
	if a.Status == http.StatusForbidden && !strings.Contains(a.Challenge, `error="insufficient_scope"`) {
		t.Errorf("403 with the challenge %q", a.Challenge)
	}
	return a.Error != nil
}

// governed is the program behind a signed identity with a policy.
type governed struct {
	base, admin, file string
	signers           signers
	seen              record
	reloads           int
}

func startGoverned(t *testing.T, policy string, args ...string) *governed {
	t.Helper()
	g := &governed{seen: newRecord(t), signers: newSigners(t), file: filepath.Join(t.TempDir(), "policy.yaml")}
	if err := os.WriteFile(g.file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	admin := freeport.Addr(t)
	g.admin = "http://" + admin
	g.base = start(t, append([]string{
		"--admin-listen", admin, "--policy", g.file, "--identity", "signed", "--identity-keys", g.signers.URL + contract.PathKeys,
	}, args...)...)
	return g
}

// setPolicy replaces the file and waits until it is in force.
func (g *governed) setPolicy(t *testing.T, text string) {
	t.Helper()
	g.reloads++
	g.writePolicy(t, text)
	eventually(t, "the policy is read again\n"+text, func() bool {
		return g.metric(t, `gatehouse_policy_reloads_total{result="ok"}`) >= g.reloads
	})
}

// writePolicy replaces the file in one step: half a policy may be another one.
func (g *governed) writePolicy(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(g.file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(g.file+".new", g.file); err != nil {
		t.Fatal(err)
	}
}

// metric is the value of a series, 0 where it is not there.
func (g *governed) metric(t *testing.T, series string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindStringSubmatch(g.metrics(t))
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// metrics is the whole page.
func (g *governed) metrics(t *testing.T) string {
	t.Helper()
	res, err := http.Get(g.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
