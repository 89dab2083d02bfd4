package door

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// FuzzCursors: whatever a client sends as a cursor is refused, or is what each
// server gave.
func FuzzCursors(f *testing.F) {
	for _, text := range []string{"", "e30", "bnVsbA", "W10", "eyJhIjoiMSJ9", "eyJhIjp7fX0", "eyJhIjpudWxsfQ", "%%%"} {
		f.Add(text)
	}
	d, parts := named("__", "a", "b")
	k := &desk{door: d}
	d.o.Parts = func() []Part { return parts }
	f.Fuzz(func(t *testing.T, text string) {
		line := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":` + string(rpc.Quote(text)) + `}}`
		m, err := rpc.Parse([]byte(line))
		if err != nil {
			return
		}
		pages, err := k.pages(caller{id: &contract.Identity{}}, parts, &m)
		if err != nil {
			return
		}
		for _, p := range pages {
			if !json.Valid(p.cursor) || p.cursor[0] != '"' {
				t.Errorf("%q asks %q for %s", text, p.part.Name, p.cursor)
			}
		}
	})
}

// pagesOf answers tools/list in two pages, the second of which has the cursor
// that the server gave.
func pagesOf(f *fake, m *rpc.Message) {
	switch cursor := rpc.Text(rpc.Member(m.Params(), "cursor")); {
	case m.Method != rpc.ListTools:
		echoes(f, m)
	case cursor == "":
		f.result(m.ID(), `{"tools":[{"name":"one"},{"name":"two"},{"noname":1}],"nextCursor":"of `+f.name+`"}`)
	case cursor == "of "+f.name:
		f.result(m.ID(), `{"tools":[{"name":"three"}]}`)
	default:
		f.result(m.ID(), `{"tools":[{"name":"foreign_cursor"}]}`)
	}
}

type listed struct {
	Result struct {
		Tools      []struct{ Name string }
		NextCursor string
	}
}

func (g *guest) lists(id int, params string) (names string, next string) {
	g.h.t.Helper()
	var got listed
	text := g.asks(id, rpc.ListTools, params)
	if err := json.Unmarshal([]byte(text), &got); err != nil || !strings.Contains(text, `"result"`) {
		g.h.t.Fatalf("%v: %s", err, text)
	}
	for _, tool := range got.Result.Tools {
		names += tool.Name + " "
	}
	return strings.TrimSpace(names), got.Result.NextCursor
}

// TestListsAreJoinedInTheOrderOfTheFile, page by page, and each server is asked
// with its own cursor alone.
func TestListsAreJoinedInTheOrderOfTheFile(t *testing.T) {
	h := build(t, []string{"b", "a"}, 10*time.Second, pagesOf)
	g := h.enters()
	names, next := g.lists(1, "{}")
	if names != "b__one b__two a__one a__two" || next == "" {
		t.Errorf("the first page: %s, then %q", names, next)
	}
	second := fmt.Sprintf(`{"cursor":%q}`, next)
	if names, next = g.lists(2, second); names != "b__three a__three" || next != "" {
		t.Errorf("the second page: %s, then %q", names, next)
	}
	if names, _ := h.enters().lists(1, second); names != "b__three a__three" {
		t.Errorf("the second page for another session: %s", names)
	}
	if got := g.asks(3, rpc.ListTools, `{"cursor":"none of ours"}`); !strings.Contains(got, "-32602") {
		t.Errorf("a cursor of nobody: %s", got)
	}
}

// TestAServerThatHangsCostsItsOwnEntries, once the time of a list; the next list
// does not wait for it, and what it has comes with a word.
func TestAServerThatHangsCostsItsOwnEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const listTime = 10 * time.Second
		h := build(t, []string{"a", "deaf"}, listTime, pagesOf)
		comes := make(chan struct{})
		h.holds = map[string]chan struct{}{"deaf": comes}
		begun := time.Now()
		g := h.enters()
		for id := range 3 {
			if names, next := g.lists(1+id, "{}"); names != "a__one a__two" || next == "" {
				t.Errorf("listed %s, then %q", names, next)
			}
			if took := time.Since(begun); took != listTime {
				t.Errorf("with list %d it cost %s, want %s", 1+id, took, listTime)
			}
		}
		if !strings.Contains(h.log.String(), `"server":"deaf"`) {
			t.Errorf("the log does not say it:\n%s", h.log)
		}
		if got := g.asks(10, rpc.CallTool, `{"name":"a__x"}`); !strings.Contains(got, "x of a") {
			t.Errorf("a call beside it: %s", got)
		}
		if _, ok, _ := g.Standing.Pop(); ok {
			t.Error("the client is told of a change before there is one")
		}
		close(comes)
		if told := h.next(g.Standing); !strings.Contains(told, "notifications/tools/list_changed") {
			t.Errorf("when it has come the client is told %s", told)
		}
		if names, _ := g.lists(11, "{}"); names != "a__one a__two deaf__one deaf__two" {
			t.Errorf("after that word it is told %s", names)
		}
	})
}

// TestAListThatComesLateIsTold: a server that is open and does not answer in time
// is asked again beside the list; then the client hears that there is more. From
// then on it is told what is known, however late the server is.
func TestAListThatComesLateIsTold(t *testing.T) {
	var asked atomic.Int32
	var silent atomic.Bool
	h := build(t, []string{"slow"}, 200*time.Millisecond, func(f *fake, m *rpc.Message) {
		if asked.Add(1) > 1 && !silent.Load() {
			f.result(m.ID(), `{"tools":[{"name":"one"}]}`)
		}
	})
	g := h.enters()
	names, _ := g.lists(1, "{}")
	if names != "" {
		t.Fatalf("listed %s", names)
	}
	for id := 2; names != "slow__one"; id++ {
		if told := h.next(g.Standing); !strings.Contains(told, "list_changed") {
			t.Fatalf("told %s", told)
		}
		names, _ = g.lists(id, "{}")
	}
	silent.Store(true)
	if names, _ = g.lists(100, "{}"); names != "slow__one" {
		t.Errorf("what is known is not told: %q", names)
	}
}

// TestMemoryIsOfOneCaller, of one list, for a time and within a bound.
func TestMemoryIsOfOneCaller(t *testing.T) {
	var m memory
	one, other := &fleet.Server{}, &fleet.Server{}
	alice := &contract.Identity{Subject: "alice", Roles: []string{"dev"}}
	key := keyOf(one, rpc.ListTools, alice)
	m.put(key, []byte("hers"))
	later := *alice
	later.Expires, later.SessionID = time.Now(), "another login"
	if got := m.get(keyOf(one, rpc.ListTools, &later)); string(got) != "hers" {
		t.Errorf("with another token she is told %q", got)
	}
	lost := *alice
	lost.Roles = nil
	for what, k := range map[string]remembered{
		"without the role": keyOf(one, rpc.ListTools, &lost),
		"another user":     keyOf(one, rpc.ListTools, &contract.Identity{Subject: "bob"}),
		"another server":   keyOf(other, rpc.ListTools, alice), "another list": keyOf(one, "prompts/list", alice),
	} {
		if got := m.get(k); got != nil {
			t.Errorf("%s: %q", what, got)
		}
	}
	m.forget(other, rpc.ListTools)
	if m.get(key) == nil {
		t.Error("the change of another server's list made it forget")
	}
	m.forget(one, rpc.ListTools)
	if m.get(key) != nil || m.bytes != 0 {
		t.Errorf("it tells a list that has changed, and holds %d bytes", m.bytes)
	}
	for i := range 20 {
		m.put(keyOf(one, fmt.Sprint(i), alice), make([]byte, memoryBytes/10))
	}
	if m.bytes > memoryBytes || len(m.lists) == 0 {
		t.Errorf("it holds %d lists of %d bytes", len(m.lists), m.bytes)
	}
}

// TestWhatAServerSaysOfItselfIsOfOneCaller: it may name whom it acts for.
func TestWhatAServerSaysOfItselfIsOfOneCaller(t *testing.T) {
	h := build(t, []string{"a", "b"}, 10*time.Second, echoes)
	for range 2 { // the second time from memory
		for _, user := range []string{"alice", "bob"} {
			h.who = &contract.Identity{Subject: user}
			if _, told := h.comes(); strings.Count(told, "You act for "+user) != 2 || strings.Count(told, "You act for") != 2 {
				t.Errorf("%s is told %s", user, told)
			}
		}
	}
}
