package session

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// childMode makes this test binary the stdio server of the tests.
const childMode = "GATEHOUSE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(childMode); {
	case filepath.IsAbs(mode):
		strictChild(mode)
		return
	case mode != "":
		markingChild()
		return
	}
	// Each check runs real children. More of them: go test ./bridge/internal/session -rapid.checks=500
	flag.Parse()
	if !given("rapid.checks") {
		_ = flag.Set("rapid.checks", "15") // a flag that rapid defines
	}
	goleak.VerifyTestMain(m)
}

func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

type markedRequest struct {
	ID     json.RawMessage
	Method string
	Result struct{ Mark string }
	Error  json.RawMessage
	Params struct {
		Name      string
		RequestID json.RawMessage
		Arguments struct{ Mark string }
		Meta      struct{ ProgressToken json.RawMessage } `json:"_meta"`
	}
}

// markingChild puts the mark of a call into all that it says because of it.
func markingChild() {
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...)
	}
	asked := sync.Map{} // by the child's own id: chan string
	held := sync.Map{}  // by the call's id: chan struct{}, closed when it is cancelled
	next := 0
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var r markedRequest
		if json.Unmarshal(in.Bytes(), &r) != nil {
			continue
		}
		mark := r.Params.Arguments.Mark
		result := func() { say(`{"jsonrpc":"2.0","id":%s,"result":{"mark":%q}}`, r.ID, mark) }
		progress := func() {
			say(`{"jsonrpc":"2.0","method":"notifications/progress","params":`+
				`{"progressToken":%s,"progress":1,"message":%q}}`, r.Params.Meta.ProgressToken, mark)
		}
		ask := func() chan string {
			next++
			ch := make(chan string, 1)
			asked.Store(fmt.Sprint(next), ch)
			say(`{"jsonrpc":"2.0","id":%d,"method":"elicitation/create","params":{"message":%q}}`, next, mark)
			return ch
		}
		log := func() {
			say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%q}}`, mark)
		}
		switch {
		case r.Method == "":
			if ch, ok := asked.LoadAndDelete(string(r.ID)); ok {
				ch.(chan string) <- r.Result.Mark
			}
		case r.Method == "notifications/cancelled":
			if ch, ok := held.LoadAndDelete(string(r.Params.RequestID)); ok {
				close(ch.(chan struct{}))
			}
		case r.ID == nil:
		case r.Method == "initialize":
			say(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18",`+
				`"capabilities":{},"serverInfo":{"name":"marks","version":"1"}}}`, r.ID)
		case r.Params.Name == "echo":
			result()
		case r.Params.Name == "progress":
			progress()
			progress()
			result()
		case r.Params.Name == "log":
			log()
			result()
		case r.Params.Name == "late": // says more when it has answered
			result()
			log()
			progress()
			ask()
		case r.Params.Name == "hold": // goes on after its end, as a server may
			gone := make(chan struct{})
			held.Store(string(r.ID), gone)
			go func() { <-gone; log(); progress() }()
		case r.Params.Name == "ask":
			ch := ask()
			go func() {
				if got := <-ch; got != "" && got != mark {
					say(`{"jsonrpc":"2.0","id":%s,"result":{"mark":"answered with <%s>"}}`, r.ID, got)
					return
				}
				result()
			}()
		case r.Params.Name == "die":
			os.Exit(7)
		}
	}
}
