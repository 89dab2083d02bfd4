package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/authsvc/internal/apikey"
	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/internal/contract"
)

// A machine's key is made by the program, lies in the file as a hash, opens
// what it says, ends, and is refused as soon as it is taken out of the file.
func TestKeysOfMachines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	make := func(args ...string) string {
		t.Helper()
		var out, said strings.Builder
		if code := run(t.Context(), append([]string{"key", "new", "--file", file}, args...), &out, &said); code != exitOK {
			t.Fatalf("exit code %d: %s", code, said.String())
		}
		return strings.TrimSpace(out.String())
	}
	ci := make("--name", "ci", "--roles", "mcp-user,deployer")
	one := make("--name", "one", "--roles", "mcp-user", "--servers", "one")
	weak := make("--name", "weak")
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), ci) || !strings.HasPrefix(ci, apikey.Prefix) {
		t.Fatalf("the file holds a key: %v\n%s", err, text)
	}
	issuer := issuertest.Start(t)
	g := start(
		t,
		issuer,
		"memory",
		needsRole,
		func(c *config) { c.APIKeys, c.ServerScope = file, "mcp.access.{server}" },
	).ready()
	id := g.identity(g.wantVerdict("200", bearer(ci)...))
	if id.Subject != "key:ci" || !id.HasRole("deployer") || time.Until(id.Expires) > 91*24*time.Hour {
		t.Errorf("identity %+v", id)
	}
	g.wantVerdict("403", bearer(weak)...)
	for uri, want := range map[string]string{"/servers/one/mcp": "200", "/servers/two/mcp": "401", "/mcp": "401"} {
		if got := verdict(g.at(uri, one)); got != want {
			t.Errorf("the key of one server at %s: %s, want %s", uri, got, want)
		}
	}
	g.wantVerdict("401", bearer(apikey.Prefix+"guess")...)
	g.wantVerdict("401", bearer(ci[:len(ci)-1])...)

	keys, err := apikey.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	keys[0].Expires = time.Now().Add(-time.Second) // ci has ended
	text, _ = json.Marshal(map[string]any{"keys": keys[:2]})
	write(t, file, string(text))
	eventually(t, "a key that has ended", func() bool { return verdict(g.auth(bearer(ci)...)) == "401" })
	if got := verdict(g.at("/servers/one/mcp", one)); got != "200" {
		t.Errorf("the key that stayed: %s", got)
	}
	sid := keys[1].Session()
	if ended := g.endedOf(sid); slices.Contains(ended, sid) {
		t.Errorf("what the key has open has ended before it: %q", ended)
	}
	write(t, file, `{"keys": []}`)
	eventually(t, "what the key has open ends", func() bool { return slices.Contains(g.endedOf(sid), sid) })
	took := eventually(
		t,
		"a key that was taken out",
		func() bool { return verdict(g.at("/servers/one/mcp", one)) == "401" },
	)
	t.Logf("a key that was taken out of the file was refused after %s", took)
}

func TestKeyFilesThatAreWrong(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for _, text := range []string{
		``, `[]`, `{"keys": [{"name": "", "sha256": "` + sum + `", "expires": "2030-01-01T00:00:00Z"}]}`,
		`{"keys": [{"name": "a", "sha256": "ab", "expires": "2030-01-01T00:00:00Z"}]}`,
		`{"keys": [{"name": "a", "sha256": "` + sum + `"}]}`,
		`{"keys": [{"name": "a", "sha256": "` + sum + `", "servers": [""], "expires": "2030-01-01T00:00:00Z"}]}`,
	} {
		if _, err := apikey.Parse([]byte(text)); err == nil {
			t.Errorf("%s is taken for keys", text)
		}
	}
	var out strings.Builder
	if code := run(t.Context(), []string{"key", "new", "--name", "x"}, &out, &out); code != exitUsage {
		t.Errorf("without a file: exit code %d", code)
	}
	for _, wrong := range [][]string{{"--servers", ""}, {"--servers", "a, b"}, {"--roles", "a,,b"}} {
		file := filepath.Join(t.TempDir(), "keys.json")
		args := append([]string{"key", "new", "--name", "x", "--file", file}, wrong...)
		if code := run(t.Context(), args, &out, &out); code != exitUsage || !strings.Contains(out.String(), wrong[0]) {
			t.Errorf("%q: exit code %d: %s", wrong, code, out.String())
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%q made a file", wrong)
		}
	}
}

// endedOf is what a bridge is told has ended of these ids.
func (g *gate) endedOf(ids ...string) []string {
	g.t.Helper()
	text, _ := json.Marshal(map[string]any{"sids": ids})
	var answer contract.EndedAnswer
	res := g.do(g.internal, http.MethodPost, contract.PathSessionsEnded, string(text))
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		g.t.Fatal(err)
	}
	return answer.Ended
}
