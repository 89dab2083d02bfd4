package bridge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/contract"
)

// lend stands where authsvc gives a caller's credential.
func (a *authority) lend(w http.ResponseWriter, r *http.Request) {
	m, err := contract.ReadCredentialRequest(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	id, _, err := contract.VerifyAssertion(m.Assertion, keySet(a.key), time.Now(), time.Hour)
	if err != nil || a.credential == nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	answer, status := a.credential(id, m.Name)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (a *authority) questions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// secrets are what users have connected; a test changes them while it runs.
type secrets struct {
	mu   sync.Mutex
	of   map[string]string
	life time.Duration // 0 for without an end
	away bool
}

func (s *secrets) set(user, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[user] = secret
}

func (s *secrets) answer(id contract.Identity, name string) (a contract.CredentialAnswer, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch secret := s.of[id.Subject]; {
	case s.away:
		return a, http.StatusServiceUnavailable
	case secret == "":
		a.Missing = &contract.MissingCredential{Label: "Slack", Connect: "https://gate.example.com/account/connect/" + name}
	default:
		a.Secret, a.Watch = secret, true
		if s.life > 0 {
			end := time.Now().Add(s.life)
			a.Expires = &end
		}
	}
	return a, http.StatusOK
}

// startLending is a bridge whose one server gets credentials as block says.
func startLending(t *testing.T, s *secrets, block string, flags ...string) (*bridge, *authority) {
	t.Helper()
	return startLendingTo(t, s, `"chat": {`+self()+`, "gatehouse": {"credentials": `+block+`}}`, flags...)
}

func startLendingTo(t *testing.T, s *secrets, entries string, flags ...string) (*bridge, *authority) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	config := writeConfig(t, filepath.Join(t.TempDir(), "mcp.json"), entries)
	a := newAuthority(t)
	a.credential = s.answer
	return startArgs(t, append([]string{
		"--identity", "signed", "--identity-keys", a.URL + contract.PathKeys, "--config", config,
	}, flags...)...), a
}

// left are the files of credentials that lie anywhere below the private folders.
func left(t *testing.T) (files []string) {
	t.Helper()
	_ = filepath.WalkDir(os.Getenv("TMPDIR"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "token" {
			files = append(files, path)
		}
		return nil
	})
	return files
}

// Each child has its own user's credential in a file of its own, which no other
// user's names, that is gone with the login, and nobody else ever sees.
func TestEachChildHasItsUsersCredential(t *testing.T) {
	s := &secrets{of: map[string]string{"alice": "alice-hush", "bob": "bob-hush"}, life: 4 * time.Second}
	audit := filepath.Join(t.TempDir(), "audit")
	b, a := startLending(t, s, `{"from": "slack", "file": "token"}`, "--audit", audit, "--log-level", "debug")
	hers := enter(t, b, a.header(t, "alice", "s1", time.Hour))
	his := enter(t, b, a.header(t, "bob", "s2", time.Hour))
	first := strings.Fields(hers.says("credential", "token", 0))
	second := strings.Fields(his.says("credential", "token", 0))
	if len(first) != 3 || first[0] != "alice-hush" || first[1] != "600" {
		t.Errorf("her child reads %q", first)
	}
	if len(second) != 3 || second[0] != "bob-hush" {
		t.Errorf("his child reads %q", second)
	}
	if filepath.Dir(first[2]) == filepath.Dir(second[2]) {
		t.Error("the two children have one folder")
	}
	if info, err := os.Stat(filepath.Dir(first[2])); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v", info.Mode(), err)
	}
	for _, c := range []*client{hers, his} {
		if env := c.says("environ", "", 0); strings.Contains(env, "hush") {
			t.Error("a credential of a file is in the environment")
		}
	}
	s.set("alice", "alice-new")
	hers.call("shout", "", 1)
	eventually(t, "the file has the new one", func() bool {
		return strings.HasPrefix(hers.says("credential", "token", 0), "alice-new ")
	})
	a.end("s1")
	eventually(t, "her file is gone, and his is not", func() bool {
		now := left(t)
		return len(now) == 1 && now[0] == second[2]
	})
	eventually(t, "her child is gone", func() bool { return childrenOf(b.cmd.Process.Pid) == guardian+1 })
	a.endsAtOnce(t)
	b.stop(t)
	if now := left(t); len(now) > 0 {
		t.Errorf("the bridge left %v", now)
	}
	if strings.Contains(b.log.String(), "hush") {
		t.Error("a credential is in the log")
	}
	lines, _ := os.ReadFile(audit)
	for _, want := range []string{
		`"credential":"slack","outcome":"lent"`, `"outcome":"renewed"`, `"outcome":"ended"`,
		`"tool":"credential","era":"streamable","credential":"slack","outcome":"ok"`,
	} {
		if !strings.Contains(string(lines), want) {
			t.Errorf("the audit lacks %s:\n%s", want, lines)
		}
	}
	if strings.Contains(string(lines), "hush") || strings.Contains(string(lines), "alice-new") {
		t.Error("a credential is in the audit")
	}
}

// A credential that goes by the environment is renewed by a new child, once the
// old one is idle and before the old credential has ended; the session goes on.
func TestACredentialOfTheEnvironmentIsRenewedByANewChild(t *testing.T) {
	s := &secrets{of: map[string]string{"alice": "one"}, life: 5 * time.Second}
	b, a := startLending(t, s, `{"from": "slack", "env": "SLACK_TOKEN"}`)
	c := enter(t, b, a.header(t, "alice", "s1", time.Hour))
	if env := c.says("environ", "", 0); !strings.Contains(env+"\n", "SLACK_TOKEN=one\n") {
		t.Errorf("the environment lacks it: %q", env)
	}
	first := c.says("pid", "", 0)
	s.set("alice", "two")
	eventually(t, "another child has the new one", func() bool {
		env := c.call("environ", "", 0)
		return env.Error == nil && strings.Contains(env.text(), "SLACK_TOKEN=two")
	})
	if c.says("pid", "", 0) == first {
		t.Error("it is the same child")
	}
	if !strings.Contains(b.log.String(), "the next call starts it anew") {
		t.Error("the log does not say that the child is started anew")
	}
}

// What is missing is said with the address where it is connected: as an error
// to who reads it, by -32042 to a client that opens addresses. A child that
// starts without gives its lists, and has the credential as soon as its user
// has connected it.
func TestAMissingCredentialNamesTheAddress(t *testing.T) {
	s := &secrets{of: map[string]string{}}
	b, a := startLending(t, s, `{"from": "slack", "file": "token"}`)
	c := newClient(t, b.base+"/mcp", a.header(t, "alice", "s1", time.Hour))
	eventually(t, "keys", func() bool { return c.post(initialize).Status != http.StatusUnauthorized })
	got := c.post(initialize)
	if got.Error == nil || got.Error.Code != -32004 ||
		!strings.Contains(got.Error.Message, "https://gate.example.com/account/connect/slack") {
		t.Fatalf("initialize answers %d %+v", got.Status, got.Error)
	}
	s.set("alice", "hers")
	text := enter(t, b, a.header(t, "alice", "s1", time.Hour)).says("credential", "token", 0)
	if !strings.HasPrefix(text, "hers ") {
		t.Errorf("after she connected it the child reads %q", text)
	}
}

func TestAChildThatStartsWithoutItsCredential(t *testing.T) {
	s := &secrets{of: map[string]string{}, life: 4 * time.Second}
	b, a := startLending(t, s, `{"from": "slack", "file": "token", "missing": "start"}`)
	plain := enter(t, b, a.header(t, "alice", "s1", time.Hour))
	if list := plain.post(`{"jsonrpc":"2.0","id":9,"method":"tools/list"}`); list.Error != nil {
		t.Errorf("the list: %+v", list.Error)
	}
	if got := plain.call("credential", "token", 0); got.Error == nil || got.Error.Code != -32004 {
		t.Errorf("a call answers %+v", got.Error)
	}
	able := newClient(t, b.base+"/mcp", a.header(t, "alice", "s1", time.Hour))
	able.post(strings.Replace(initialize, `{"elicitation":{}}`, `{"elicitation":{"form":{},"url":{}}}`, 1))
	got := able.call("credential", "token", 0)
	if got.Error == nil || got.Error.Code != -32042 || len(got.Error.Data.Elicitations) != 1 ||
		got.Error.Data.Elicitations[0]["url"] != "https://gate.example.com/account/connect/slack" ||
		got.Error.Data.Elicitations[0]["mode"] != "url" || got.Error.Data.Elicitations[0]["elicitationId"] == "" {
		t.Errorf("a client that opens addresses gets %+v", got.Error)
	}

	modern := func(capabilities, more string) *answer {
		c := newClient(t, b.base+"/mcp", a.header(t, "alice", "s1", time.Hour))
		c.header.Set("MCP-Protocol-Version", "2026-07-28")
		c.header.Set("Mcp-Method", "tools/call")
		c.header.Set("Mcp-Name", "credential")
		return c.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` +
			`{"name":"credential","arguments":{"text":"token"},` + more + `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
			`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},` +
			`"io.modelcontextprotocol/clientCapabilities":` + capabilities + `}}}`)
	}
	const url = `{"elicitation":{"url":{}}}`
	if got := modern(`{}`, ""); got.Error == nil || got.Error.Code != -32004 {
		t.Errorf("2026-07-28 without elicitation gets %+v", got)
	}
	asked := modern(url, "")
	if asked.Error != nil || asked.Result.ResultType != "input_required" ||
		asked.Result.InputRequests["gatehouse-connect"].Params["url"] != "https://gate.example.com/account/connect/slack" {
		t.Errorf("2026-07-28 with elicitation gets %+v %+v", asked.Result, asked.Error)
	}
	const accepted = `"inputResponses":{"gatehouse-connect":{"action":"accept"}},`
	if got := modern(url, accepted); got.Error == nil || got.Error.Code != -32004 {
		t.Errorf("an answer without the credential gets %+v", got)
	}
	s.set("alice", "hers")
	for name, text := range map[string]string{
		"2026-07-28": modern(url, accepted).text(), "the session": plain.says("credential", "token", 0),
		"the other session": able.says("credential", "token", 0),
	} {
		if !strings.HasPrefix(text, "hers 600 ") {
			t.Errorf("%s: after she connected it the child reads %q", name, text)
		}
	}
	s.set("alice", "")
	eventually(t, "what she took back is deleted", func() bool { return len(left(t)) == 0 })
}

// Where authsvc is away what runs goes on, and nothing new is given.
func TestWithoutAuthsvcWhatRunsGoesOn(t *testing.T) {
	s := &secrets{of: map[string]string{"alice": "hers", "bob": "his"}, life: 3 * time.Second}
	b, a := startLending(t, s, `{"from": "slack", "file": "token"}`)
	c := enter(t, b, a.header(t, "alice", "s1", time.Hour))
	s.mu.Lock()
	s.away = true
	s.mu.Unlock()
	before := a.questions()
	eventually(t, "a renewal was tried", func() bool { return a.questions() > before+1 })
	if text := c.says("credential", "token", 0); !strings.HasPrefix(text, "hers ") {
		t.Errorf("what runs reads %q", text)
	}
	refused(t, newClient(t, b.base+"/mcp", a.header(t, "bob", "s2", time.Hour)).post(initialize),
		http.StatusServiceUnavailable, "cannot be had now")
}

// What would give one user's credential to another is refused at the start.
func TestCredentialsThatCannotBeOnesOwnAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		gate, says string
		flags      []string
	}{
		"shared": {
			`{"isolation": "shared", "credentials": {"from": "slack", "file": "t"}}`, "isolation shared", signedFlags,
		},
		"nobody calls": {`{"credentials": {"from": "slack", "file": "t"}}`, "--identity signed", nil},
		"both ways":    {`{"credentials": {"from": "slack", "file": "t", "env": "T"}}`, "give file or env", signedFlags},
		"a path":       {`{"credentials": {"from": "slack", "file": "../t"}}`, "plain name", signedFlags},
		"no name":      {`{"credentials": {"file": "t"}}`, "from", signedFlags},
		"too late":     {`{"credentials": {"from": "slack", "env": "T", "missing": "start"}}`, "missing start", signedFlags},
	} {
		t.Run(name, func(t *testing.T) {
			config := writeConfig(t, filepath.Join(t.TempDir(), "mcp.json"), `"chat": {`+self()+`, "gatehouse": `+c.gate+`}`)
			out := fails(t, append([]string{"--config", config, "--listen", "127.0.0.1:0"}, c.flags...)...)
			if !strings.Contains(out, c.says) {
				t.Errorf("it says %q, want %q in it", out, c.says)
			}
		})
	}
}

// fails is what a bridge says that does not start.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Errorf("it starts: %v", err)
	}
	return string(out)
}

func keySet(key jose.JSONWebKey) jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}
}

var signedFlags = []string{"--identity", "signed", "--identity-keys", "http://127.0.0.1:1" + contract.PathKeys}

// What a killed bridge left does not stay.
func TestNoCredentialOutlivesAKilledBridge(t *testing.T) {
	s := &secrets{of: map[string]string{"alice": "hers"}}
	b, a := startLending(t, s, `{"from": "slack", "file": "token"}`)
	enter(t, b, a.header(t, "alice", "s1", time.Hour))
	if len(left(t)) != 1 {
		t.Fatalf("there is %v", left(t))
	}
	_ = b.cmd.Process.Kill()
	<-b.ended
	eventually(t, "her file is gone", func() bool { return len(left(t)) == 0 })
}
