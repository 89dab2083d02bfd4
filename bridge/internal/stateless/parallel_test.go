package stateless_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// pid is the child that answers a call of the identity now.
func (g *gate) pid(t *testing.T, who string) any {
	t.Helper()
	a := g.call(t, who, `"pid"`, "tools/call", `"name":"lists","arguments":{},`, `{}`)
	if a.Result == nil {
		t.Fatalf("the call is answered %+v", a)
	}
	return a.Result["pid"]
}

// TestACallThatWaitsForInputKeepsItsChild: further calls of the identity have
// another, whose questions are asked too, and when all are over there is one.
func TestACallThatWaitsForInputKeepsItsChild(t *testing.T) {
	g := open(t, nil)
	before := g.pid(t, "alice")
	var waiting []reply
	for n := range 3 {
		a := g.call(t, "alice", fmt.Sprint(n), "tools/call", fmt.Sprintf(`"name":"ask","arguments":{"n":%d},`, n), elicits)
		if a.Result["resultType"] != "input_required" {
			t.Fatalf("call %d beside those that wait: %+v", n, a)
		}
		waiting = append(waiting, a)
	}
	if now := g.pid(t, "alice"); now == before {
		t.Error("a call came to a child that waits for another's input")
	}
	for n, first := range waiting {
		for key := range first.Result["inputRequests"].(map[string]any) {
			a := g.call(t, "alice", fmt.Sprint(10+n), "tools/call", fmt.Sprintf(`"name":"ask","arguments":{"n":%d},`+
				`"requestState":%q,"inputResponses":{%q:{"action":"accept","n":%d}},`,
				n, first.Result["requestState"], key, n), elicits)
			if got := fmt.Sprint(a.Result["answer"]); !strings.Contains(got, fmt.Sprintf("n:%d", n)) {
				t.Errorf("call %d went on with %s (%+v)", n, got, a)
			}
		}
	}
}

// TestAnAnswerToAQuestionStartsNoChild: the one that asked waits for it.
func TestAnAnswerToAQuestionStartsNoChild(t *testing.T) {
	g := open(t, nil)
	first := g.call(t, "alice", "1", "tools/call", `"name":"ask","arguments":{},`, elicits)
	for key := range first.Result["inputRequests"].(map[string]any) {
		answer := func(inputs string) reply {
			return g.call(t, "alice", "2", "tools/call", fmt.Sprintf(`"name":"ask","arguments":{},"requestState":%q,`+
				`"inputResponses":%s,`, first.Result["requestState"], inputs), elicits)
		}
		if a := answer(`5`); a.Error == nil {
			t.Errorf("what is no answer is answered %+v", a)
		}
		if a := answer(fmt.Sprintf(`{%q:{"action":"accept"}}`, key)); a.Result["answer"] == nil {
			t.Errorf("the call went on with %+v", a)
		}
	}
	if n := g.server.Stats.Started.Load(); n != 1 {
		t.Errorf("%d children were started", n)
	}
	if a := g.call(t, "alice", "3", "tools/call", `"name":"echo","arguments":{},`, `{}`); a.Error != nil {
		t.Errorf("the next call is answered %+v", a)
	}
	if n := g.server.Stats.Started.Load(); n != 1 {
		t.Errorf("%d children were started for the next call", n)
	}
}

// TestTwoCallsOfOneIdentityMayBothAsk, at the same time on one child.
func TestTwoCallsOfOneIdentityMayBothAsk(t *testing.T) {
	g := open(t, nil)
	g.pid(t, "alice")
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		res, err := g.request(ctx, "alice", `"hung"`, "tools/call", `"name":"never","arguments":{},`, elicits)
		if err == nil {
			_ = res.Body.Close()
		}
	}()
	for !g.server.Busy() {
		time.Sleep(time.Millisecond)
	}
	a := g.call(t, "alice", "1", "tools/call", `"name":"ask","arguments":{},`, elicits)
	if a.Result["resultType"] != "input_required" {
		t.Errorf("beside a call in flight: %+v", a)
	}
	leave()
	<-gone
}

// TestTheListOfToolsIsAskedForOnce for all who call at the same time, and again
// when it changed.
func TestTheListOfToolsIsAskedForOnce(t *testing.T) {
	g := open(t, nil)
	var all sync.WaitGroup
	for n := range 10 {
		all.Go(func() { g.call(t, "alice", fmt.Sprint(n), "tools/call", `"name":"unlisted","arguments":{},`, `{}`) })
	}
	all.Wait()
	lists := func() any {
		return g.call(t, "alice", `"l"`, "tools/call", `"name":"lists","arguments":{},`, `{}`).Result["lists"]
	}
	if got := lists(); got != 1.0 {
		t.Errorf("the server was asked %v times", got)
	}
	g.call(t, "alice", "20", "tools/call", `"name":"change","arguments":{},`, `{}`)
	g.call(t, "alice", "21", "tools/call", `"name":"unlisted","arguments":{},`, `{}`)
	if got := lists(); got != 2.0 {
		t.Errorf("after a change it was asked %v times", got)
	}
}

// strictly lets nobody call anything, and counts what began all the same.
type strictly struct {
	mu    sync.Mutex
	begun int
}

func (s *strictly) Begin(context.Context, *mux.CallInfo) (mux.Watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	return nil, s.Again(context.Background(), nil)
}

func (s *strictly) Again(context.Context, *mux.CallInfo) error {
	return &rpc.Error{Code: -32003, Message: "not allowed"}
}

// TestWhatIsRefusedMakesNoWork: no child is started for it.
func TestWhatIsRefusedMakesNoWork(t *testing.T) {
	guard := &strictly{}
	g := openFor(t, "older", guard, nil)
	a := g.call(t, "alice", "1", "tools/call", `"name":"echo","arguments":{},`, `{}`)
	if a.Error == nil || a.Error.Message != "not allowed" || a.status == http.StatusOK && a.Result != nil {
		t.Errorf("it is answered %+v", a)
	}
	if n := g.server.Stats.Started.Load(); n != 0 || guard.begun != 0 {
		t.Errorf("%d children were started, %d calls begun", n, guard.begun)
	}
}

// TestAQuestionBeforeASubscriptionIsRefusedAtOnce: a listener is asked nothing,
// and the server that waits for the answer goes on.
func TestAQuestionBeforeASubscriptionIsRefusedAtOnce(t *testing.T) {
	g := open(t, nil)
	begun := time.Now()
	res, err := g.request(t.Context(), "alice", "1", "subscriptions/listen",
		`"notifications":{"resourceSubscriptions":["x:/asks"]},`, `{"sampling":{}}`)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in, got := bufio.NewScanner(res.Body), ""
	for in.Scan() && !strings.HasPrefix(got, "data: ") {
		got = in.Text()
	}
	if !strings.Contains(got, "notifications/subscriptions/acknowledged") || !strings.Contains(got, "x:/asks") {
		t.Errorf("the subscription is acknowledged with %s (%v)", got, in.Err())
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("after %s", took)
	}
}
