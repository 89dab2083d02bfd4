package stateless_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/stateless"
)

// fickle lets every call begin and, once it is set, none go on.
type fickle struct{ no bool }

func (f *fickle) Begin(context.Context, *mux.CallInfo) (mux.Watch, error) { return nil, nil }

func (f *fickle) Again(_ context.Context, call *mux.CallInfo) error {
	if f.no {
		return &rpc.Error{Code: -32003, Message: call.Message.Name() + " is not allowed to " + call.Caller.Identity.Subject}
	}
	return nil
}

// TestACallThatWaitedIsJudgedAgain: what its caller may do can have changed.
func TestACallThatWaitedIsJudgedAgain(t *testing.T) {
	guard := &fickle{}
	g := openFor(t, "older", guard, nil)
	first := g.call(t, "alice", "1", "tools/call", `"name":"ask","arguments":{},`, elicits)
	var key string
	for k := range first.Result["inputRequests"].(map[string]any) {
		key = k
	}
	guard.no = true
	retry := func() reply {
		return g.call(
			t,
			"alice",
			"2",
			"tools/call",
			fmt.Sprintf(
				`"name":"ask","arguments":{},"requestState":%q,"inputResponses":{%q:{}},`, first.Result["requestState"], key,
			),
			elicits,
		)
	}
	if a := retry(); a.Error == nil || a.Error.Message != "ask is not allowed to alice" {
		t.Errorf("answer %+v", a)
	}
	guard.no = false
	if a := retry(); a.Result["resultType"] != "complete" {
		t.Errorf("allowed again: %+v", a)
	}
}

func TestWhatAnIdentityHasOpenIsBounded(t *testing.T) {
	g := open(t, func(o *stateless.Options) { o.Open = 1 })
	resp, err := g.request(
		t.Context(), "alice", "1", "subscriptions/listen", `"notifications":{"toolsListChanged":true},`, `{}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if a := g.call(t, "alice", "2", "server/discover", "", `{}`); a.status != http.StatusTooManyRequests ||
		a.Error == nil {
		t.Errorf("the second: %+v", a)
	}
	if a := g.call(t, "bob", "2", "server/discover", "", `{}`); a.status != http.StatusOK {
		t.Errorf("another identity: %+v", a)
	}
	_ = resp.Body.Close()
	for deadline := time.Now().Add(20 * time.Second); g.call(t, "alice", "3", "server/discover", "", `{}`).status != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("what was closed still counts")
		}
	}
}

// TestSuspendedCallsAreBounded for each identity, until one of its calls goes on.
func TestSuspendedCallsAreBounded(t *testing.T) {
	g := open(t, func(o *stateless.Options) { o.Suspended = 1 })
	ask := func(who, id, more string) reply {
		return g.call(t, who, id, "tools/call", `"name":"ask","arguments":{"n":1},`+more, elicits)
	}
	first := ask("alice", "1", "")
	questions, _ := first.Result["inputRequests"].(map[string]any)
	if len(questions) != 1 {
		t.Fatalf("first = %+v", first)
	}
	a := ask("alice", "2", "")
	if a.status != http.StatusTooManyRequests || a.Error == nil || !strings.Contains(a.Error.Message, "wait for input") {
		t.Errorf("one more than may wait = %+v", a)
	}
	if a := ask("bob", "1", ""); a.Result["inputRequests"] == nil {
		t.Errorf("another identity is bounded too: %+v", a)
	}
	for key := range questions {
		answer := fmt.Sprintf(`"requestState":%q,"inputResponses":{%q:{}},`, first.Result["requestState"], key)
		if a := ask("alice", "3", answer); a.Result["resultType"] != "complete" {
			t.Errorf("the answer to the first = %+v", a)
		}
	}
	if a := ask("alice", "4", ""); a.Result["inputRequests"] == nil {
		t.Errorf("when none waits = %+v", a)
	}
}

func TestACallThatGetsNoInputLapses(t *testing.T) {
	g := open(t, func(o *stateless.Options) { o.Wait = time.Millisecond })
	a := g.call(t, "alice", "1", "tools/call", `"name":"ask","arguments":{},`, elicits)
	if a.Result["inputRequests"] == nil {
		t.Fatalf("it does not wait: %+v", a)
	}
	fronttest.Eventually(t, "the call has lapsed", func() bool { return len(g.front.SIDs()) == 0 })
}

// TestASubscriptionEndsAsItsServerEndsIt: an error is an error, and a server
// that is gone has not ended it gracefully.
func TestASubscriptionEndsAsItsServerEndsIt(t *testing.T) {
	g := openFor(t, "modern", nil, nil)
	for uri, want := range map[string]string{"x:/refuse": `"message":"no room"`, "x:/exit": ""} {
		resp, err := g.request(
			t.Context(), "alice", "1", "subscriptions/listen",
			fmt.Sprintf(`"notifications":{"resourceSubscriptions":[%q]},`, uri), `{}`,
		)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || strings.Contains(string(raw), `"result"`) || !strings.Contains(string(raw), want) ||
			want == "" && strings.Contains(string(raw), `"error"`) {
			t.Errorf("%s: stream %s, %v", uri, raw, err)
		}
	}
}

func TestAToolMayChangeItsHeaders(t *testing.T) {
	g := open(t, nil)
	bare := func() reply {
		return g.call(t, "alice", "1", "tools/call", `"name":"echo","arguments":{"n":7,"bare":true},`, `{}`)
	}
	if a := bare(); a.Error == nil || a.Error.Code != -32020 {
		t.Fatalf("without its header: %+v", a)
	}
	g.call(t, "alice", "2", "tools/call", `"name":"bare","arguments":{},`, `{}`)
	if a := bare(); a.Error != nil {
		t.Errorf("after the tool wants none: %+v", a.Error)
	}
}

// TestAnAcknowledgmentNamesWhatIsHeard: the rest the server refused.
func TestAnAcknowledgmentNamesWhatIsHeard(t *testing.T) {
	g := open(t, nil)
	resp, err := g.request(
		t.Context(), "alice", "1", "subscriptions/listen", `"notifications":{"resourceSubscriptions":["x:/none","x:/a"]},`,
		`{}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := bufio.NewScanner(resp.Body)
	for _, want := range []string{`acknowledged","params":{"notifications":{"resourceSubscriptions":["x:/a"]}`, `resources/updated","params":{"uri":"x:/a"`} {
		for events.Scan() && !strings.HasPrefix(events.Text(), "data: ") { // the rest of two events
		}
		if line := events.Text(); !strings.Contains(line, want) {
			t.Fatalf("got %s, %v; want %s", line, events.Err(), want)
		}
	}
}

// TestARefusedCallerLearnsNothingOfATool: not even which headers it wants.
func TestARefusedCallerLearnsNothingOfATool(t *testing.T) {
	g := openFor(t, "older", &fickle{no: true}, nil)
	a := g.call(t, "alice", "1", "tools/call", `"name":"echo","arguments":{"n":7,"bare":true},`, `{}`)
	if a.Error == nil || a.Error.Code != -32003 || strings.Contains(a.Error.Message, "Mcp-Param") {
		t.Errorf("answer %+v", a.Error)
	}
}

// TestTheStateOfAModernServerIsSealed: it reaches the server from nobody but
// the caller of the call that it was given for, and not for ever.
func TestTheStateOfAModernServerIsSealed(t *testing.T) {
	retry := func(g *gate, who, state, arguments string) reply {
		return g.call(
			t, who, "2", "tools/call",
			fmt.Sprintf(`"name":"a","arguments":%s,"inputResponses":{"who":{}},"requestState":%q,`, arguments, state), elicits,
		)
	}
	g := openFor(t, "modern", nil, nil)
	state := g.call(t, "alice", "1", "tools/call", `"name":"a","arguments":{},`, elicits).Result["requestState"].(string)
	for name, a := range map[string]reply{
		"the server's own":  retry(g, "alice", "plain", `{}`),
		"another identity":  retry(g, "bob", state, `{}`),
		"another call":      retry(g, "alice", state, `{"x":1}`),
		"a tampered state":  retry(g, "alice", "A"+state, `{}`),
		"an empty state":    retry(g, "alice", "", `{}`),
		"half of the state": retry(g, "alice", state[:len(state)/2], `{}`),
	} {
		if a.Error == nil || a.Error.Code != -32602 || strings.Contains(a.Error.Message, "not my state") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := g.call(t, "alice", "2", "tools/call", `"name":"a","inputResponses":{"who":{}},"RequestState":"plain",`, elicits); a.Error == nil {
		t.Errorf("in other case: %+v", a)
	}
	if a := retry(g, "alice", state, `{}`); a.Result["resultType"] != "complete" {
		t.Errorf("the caller's own: %+v", a.Error)
	}
	old := openFor(t, "modern", nil, func(o *stateless.Options) { o.StateLife = -time.Hour })
	state = old.call(t, "alice", "1", "tools/call", `"name":"a","arguments":{},`, elicits).Result["requestState"].(string)
	if a := retry(old, "alice", state, `{}`); a.Error == nil || a.Error.Code != -32602 {
		t.Errorf("a state that has lapsed: %+v", a)
	}
}

// TestANotificationOfTwoVersionsIsRefused; one of one version is taken.
func TestANotificationOfTwoVersionsIsRefused(t *testing.T) {
	g := open(t, nil)
	for version, want := range map[string]int{"2026-07-28": http.StatusAccepted, "2099-01-01": http.StatusBadRequest} {
		body := `{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"` + version + `"}}}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{
			"As":                   {"alice"},
			"Mcp-Protocol-Version": {"2026-07-28"},
			"Content-Type":         {"application/json"},
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("_meta says %s: %d, want %d", version, res.StatusCode, want)
		}
	}
}
