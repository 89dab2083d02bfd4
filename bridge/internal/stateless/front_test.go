package stateless_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/answer"
	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/internal/contract"
)

type gate struct {
	front   *stateless.Front
	server  *fleet.Server
	url     string
	expires time.Time // of every caller's login
}

// open runs the front over real children; the header As names the caller.
func open(t *testing.T, change func(*stateless.Options)) *gate {
	t.Helper()
	return openFor(t, "older", nil, change)
}

func openFor(t *testing.T, era string, guard mux.Guard, change func(*stateless.Options)) *gate {
	t.Helper()
	return openOver(t, era, guard, func(p *fleet.Pool) stateless.Pool { return p }, change)
}

func openOver(
	t *testing.T, era string, guard mux.Guard, over func(*fleet.Pool) stateless.Pool, change func(*stateless.Options),
) *gate {
	t.Helper()
	starter := child.NewStarter()
	server := fleet.NewServer(fleet.ServerConfig{
		Spec:      child.Spec{Argv: []string{os.Args[0]}, Env: append(os.Environ(), childEnv+"="+era)},
		Isolation: fleet.PerUser, Guard: guard, Limits: fleet.DefaultLimits(), Starter: starter, Log: zerolog.Nop(),
		Child: child.Options{StdinGrace: time.Second, TermGrace: time.Second},
	})
	opts := stateless.DefaultOptions()
	if change != nil {
		change(&opts)
	}
	front := stateless.New(over(server.Pool()), opts)
	g := &gate{front: front, server: server}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := r.Header.Get("As")
		endpoint := &stateless.Endpoint{
			Front: front,
			Body:  answer.Body{Max: 1 << 20},
			Who: func(context.Context) *contract.Identity {
				return &contract.Identity{Subject: who, SessionID: "sid-" + who, Expires: g.expires}
			},
		}
		endpoint.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		front.Close()
		srv.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Close(ctx)
		starter.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	g.url = srv.URL
	return g
}

type reply struct {
	status int
	ID     json.RawMessage `json:"id"`
	Result map[string]any  `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (g *gate) request(ctx context.Context, who, id, method, params, capabilities string) (*http.Response, error) {
	body := fmt.Sprintf(
		`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{%s"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":%s}}}`,
		id, method, params, capabilities,
	)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"As":                   {who},
		"Mcp-Protocol-Version": {"2026-07-28"},
		"Mcp-Method":           {method},
		"Accept":               {"application/json, text/event-stream"},
		"Content-Type":         {"application/json"},
	}
	var p struct {
		Params struct {
			Name, URI string
			Arguments struct {
				N    *int
				Bare bool
			}
		}
	}
	_ = json.Unmarshal([]byte(body), &p)
	if name := p.Params.Name + p.Params.URI; name != "" {
		req.Header.Set("Mcp-Name", name)
	}
	if n := p.Params.Arguments.N; n != nil && p.Params.Name == "echo" && !p.Params.Arguments.Bare {
		req.Header.Set("Mcp-Param-N", fmt.Sprint(*n))
	}
	return http.DefaultClient.Do(req)
}

func (g *gate) call(t *testing.T, who, id, method, params, capabilities string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := g.request(ctx, who, id, method, params, capabilities)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := reply{status: resp.StatusCode}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return a
}

const elicits = `{"elicitation":{}}`

func TestInputGoesOnlyToItsCaller(t *testing.T) {
	g := open(t, nil)
	first := g.call(t, "alice", "1", "tools/call", `"name":"ask","arguments":{"a":1},`, elicits)
	if first.Result["resultType"] != "input_required" {
		t.Fatalf("first = %+v", first)
	}
	var key string
	for k := range first.Result["inputRequests"].(map[string]any) {
		key = k
	}
	state := first.Result["requestState"].(string)
	retry := func(who, state, arguments, value string) reply {
		return g.call(
			t, who, "2", "tools/call",
			fmt.Sprintf(`"name":"ask","arguments":%s,"requestState":%q,"inputResponses":{%q:%s},`, arguments, state, key, value),
			elicits,
		)
	}
	good := `{"action":"accept","content":{"n":12345678901234567890}}`
	for name, a := range map[string]reply{
		"another identity":  retry("bob", state, `{"a":1}`, good),
		"another call":      retry("alice", state, `{"a":2}`, good),
		"a tampered state":  retry("alice", state+"x", `{"a":1}`, good),
		"a response number": retry("alice", state, `{"a":1}`, `5`),
	} {
		if a.Error == nil || a.Error.Code != -32602 {
			t.Errorf("%s: %+v, want -32602", name, a)
		}
	}
	done := retry("alice", state, `{"a":1}`, good)
	if done.Result["resultType"] != "complete" || string(done.ID) != "2" || done.Result["answer"] == nil {
		t.Fatalf("retry = %+v", done)
	}
	if again := retry("alice", state, `{"a":1}`, good); again.Error == nil {
		t.Errorf("a state was good twice: %+v", again)
	}
}

func TestMissingInputIsAskedForAgain(t *testing.T) {
	g := open(t, nil)
	first := g.call(t, "alice", "1", "tools/call", `"name":"ask","arguments":{},`, elicits)
	second := g.call(
		t,
		"alice",
		"2",
		"tools/call",
		fmt.Sprintf(
			`"name":"ask","arguments":{},"requestState":%q,"inputResponses":{"other":{}},`,
			first.Result["requestState"],
		),
		elicits,
	)
	if second.Result["resultType"] != "input_required" || second.Result["requestState"] == first.Result["requestState"] {
		t.Errorf("second = %+v", second)
	}
}

func TestAClientIsNotAskedForWhatItCannotDo(t *testing.T) {
	g := open(t, nil)
	a := g.call(t, "alice", "1", "tools/call", `"name":"ask","arguments":{},`, `{}`)
	refused, _ := a.Result["answer"].(map[string]any)
	if refused["code"] != float64(-32601) {
		t.Errorf("answer = %+v, want the child refused with -32601", a)
	}
}

func TestEqualIDsNeverMeet(t *testing.T) {
	g := open(t, nil)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			a := g.call(
				t, fmt.Sprint("user", i%3), "1", "tools/call", fmt.Sprintf(`"name":"echo","arguments":{"n":%d},`, i), `{}`,
			)
			echo, _ := a.Result["echo"].(map[string]any)
			if echo["n"] != float64(i) {
				t.Errorf("call %d got %+v", i, a)
			}
		})
	}
	wg.Wait()
}

func TestRefusals(t *testing.T) {
	g := open(t, nil)
	if a := g.call(t, "alice", `"x"`, "no/such", "", `{}`); a.status != 404 || a.Error.Code != -32601 ||
		string(a.ID) != `"x"` {
		t.Errorf("unknown method: %+v", a)
	}
	if a := g.call(t, "alice", "1", "ping", "", `{}`); a.status != 404 || a.Error.Code != -32601 {
		t.Errorf("removed method: %+v", a)
	}
	resp, err := http.Post(g.url, "application/json", bytes.NewReader([]byte("[]")))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("a batch: status %d", resp.StatusCode)
	}
}

func TestTransportRefusals(t *testing.T) {
	g := open(t, nil)
	send := func(method, kind, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, g.url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if raw, _ := io.ReadAll(resp.Body); !json.Valid(raw) {
			t.Errorf("%s %s: %q is no JSON", method, kind, raw)
		}
		return resp.StatusCode
	}
	if got := send("GET", "", ""); got != 405 {
		t.Errorf("GET: %d", got)
	}
	if got := send("POST", "text/plain", "{}"); got != 415 {
		t.Errorf("text/plain: %d", got)
	}
	if got := send("POST", "application/json", strings.Repeat(" ", 1<<20+1)); got != 413 {
		t.Errorf("too large: %d", got)
	}
}

func TestANewlineInTheBodyIsOneLineForTheChild(t *testing.T) {
	g := open(t, nil)
	a := g.call(t, "alice", "1", "tools/call", "\n\"name\":\"echo\",\n\"arguments\":{\"n\":\n7},", `{}`)
	if echo, _ := a.Result["echo"].(map[string]any); echo["n"] != float64(7) {
		t.Errorf("answer = %+v", a)
	}
}

func TestListenAndCancel(t *testing.T) {
	g := open(t, nil)
	resp, err := g.request(
		t.Context(), "alice", `"sub"`, "subscriptions/listen",
		`"notifications":{"toolsListChanged":true,"promptsListChanged":true},`, `{}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := bufio.NewReader(resp.Body)
	next := func(want string) {
		t.Helper()
		for {
			line, err := events.ReadString('\n')
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if strings.HasPrefix(line, "data: ") {
				if !strings.Contains(line, want) || !strings.Contains(line, `"io.modelcontextprotocol/subscriptionId":"sub"`) {
					t.Fatalf("got %s, want %s", line, want)
				}
				return
			}
		}
	}
	next(`acknowledged","params":{"notifications":{"toolsListChanged":true}`) // prompts are not announced
	g.call(t, "alice", "1", "tools/call", `"name":"change","arguments":{},`, `{}`)
	next("tools/list_changed")
	// The child says list_changed when this call begins and when it is cancelled.
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if r, err := g.request(ctx, "alice", "9", "tools/call", `"name":"never","arguments":{},`, `{}`); err == nil {
			_ = r.Body.Close()
		}
	}()
	next("tools/list_changed")
	leave()
	<-gone
	next("tools/list_changed")
	g.front.End("sid-alice")
	if _, err := io.ReadAll(events); err != nil {
		t.Errorf("the stream did not end cleanly: %v", err)
	}
}

func TestTheEndOfALoginEndsItsCalls(t *testing.T) {
	g := open(t, nil)
	g.call(t, "alice", "1", "tools/call", `"name":"ask","arguments":{},`, elicits)
	if sids := g.front.SIDs(); len(sids) != 1 || sids[0] != "sid-alice" {
		t.Fatalf("sids = %v, want that of the call that waits", sids)
	}
	g.front.End("sid-bob")
	if len(g.front.SIDs()) != 1 {
		t.Error("another login's end closed it")
	}
	g.front.End("sid-alice")
	if sids := g.front.SIDs(); len(sids) != 0 {
		t.Errorf("after the end: %v", sids)
	}
}

// TestARefusingFrontServesNothing: nobody tells which logins have ended.
func TestARefusingFrontServesNothing(t *testing.T) {
	g := open(t, nil)
	g.front.Refuse(&mux.Refusal{Reason: "nobody knows", Retry: time.Second})
	if a := g.call(t, "alice", "1", "server/discover", "", elicits); a.status != http.StatusServiceUnavailable ||
		a.Error == nil ||
		a.Error.Message != "nobody knows" {
		t.Errorf("answer %+v", a)
	}
	g.front.Refuse(nil)
	if a := g.call(t, "alice", "2", "server/discover", "", elicits); a.status != http.StatusOK {
		t.Errorf("after it answer %+v", a)
	}
}

func TestDrainEndsASubscriptionGracefully(t *testing.T) {
	g := open(t, nil)
	resp, err := g.request(
		t.Context(), "alice", "5", "subscriptions/listen", `"notifications":{"toolsListChanged":true},`, `{}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	g.front.Drain()
	raw, err := io.ReadAll(resp.Body)
	if err != nil ||
		!strings.Contains(
			string(raw),
			`"id":5,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":5}}`,
		) {
		t.Errorf("stream = %s, %v", raw, err)
	}
}
