package streamable_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/streamable"
)

func TestInitialize(t *testing.T) {
	for name, tc := range map[string]struct{ child, asked, answered string }{
		"of each version":          {fronttest.Plain, "2025-03-26", "2025-03-26"},
		"the next":                 {fronttest.Plain, "2025-06-18", "2025-06-18"},
		"the last with sessions":   {fronttest.Plain, "2025-11-25", "2025-11-25"},
		"an older child":           {"2025-06-18", "2025-11-25", "2025-06-18"},
		"a child of 2024":          {"2024-11-05", "2025-11-25", "2025-03-26"}, // the Java client refuses 2024-11-05 here
		"a child of its own words": {"1.0", "2025-11-25", "1.0"},
		"both of 2024":             {"2024-11-05", "2024-11-05", "2024-11-05"},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, fronttest.Options{Child: tc.child})
			r := g.Do(t, http.MethodPost, "/", fronttest.Initialize(tc.asked))
			// The child names 2024-11-05 elsewhere in its answer too: that stays.
			want := `{"jsonrpc":"2.0","id":"init","result":{"capabilities":{"experimental":{"x":{"protocolVersion":"2024-11-05"}}},"protocolVersion":"` +
				tc.answered + `","serverInfo":{"name":"front","version":"1"}}}`
			if r.Status != http.StatusOK || r.Body != want || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%d %s; want %s", r.Status, r.Body, want)
			}
			if g.Table.Find(r.Header.Get("Mcp-Session-Id"), g.Server, alice) == nil {
				t.Errorf("Mcp-Session-Id %q is no session", r.Header.Get("Mcp-Session-Id"))
			}
		})
	}
}

// TestWhatTheChildSaysBeforeItsAnswer waits for the standing stream.
func TestWhatTheChildSaysBeforeItsAnswer(t *testing.T) {
	c := open(t, start(t, fronttest.Options{}), "2025-06-18")
	if e := c.listen().Next(); !strings.Contains(e.Data, "before initialize is answered") {
		t.Errorf("the standing stream begins with %+v", e)
	}
}

func TestASessionThatWasNotInitializedIsNone(t *testing.T) {
	short := func(l *session.Limits) { l.Start = 300 * time.Millisecond } // for who never answers alone
	for child, tc := range map[string]struct {
		limits func(*session.Limits)
		status int
		says   string
	}{
		fronttest.Refuses: {nil, http.StatusOK, `"id":"init","error":{"code":-32602,"message":"not today"}`},
		fronttest.Mute:    {short, http.StatusServiceUnavailable, "the server did not answer initialize in time"},
	} {
		t.Run(child, func(t *testing.T) {
			g := start(t, fronttest.Options{Child: child, Limits: tc.limits})
			r := g.Do(t, http.MethodPost, "/", fronttest.Initialize("2025-06-18"))
			r.Refused(t, tc.status, tc.says)
			if id := r.Header.Get("Mcp-Session-Id"); id != "" || g.Table.Len() != 0 {
				t.Errorf("session %q, %d are open; want none", id, g.Table.Len())
			}
			if tc.status == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "5" {
				t.Errorf("Retry-After is %q", r.Header.Get("Retry-After"))
			}
			fronttest.Eventually(t, "the child is gone", func() bool { return g.Server.Stats.Ended.Load() == 1 })
		})
	}
}

func TestOnlyARequestToInitializeBegins(t *testing.T) {
	g := start(t, fronttest.Options{})
	for _, body := range []string{
		ping, `{"jsonrpc":"2.0","method":"initialize"}`, `{"jsonrpc":"2.0","id":1,"result":{}}`, `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
	} {
		g.Do(t, http.MethodPost, "/", body).
			Refused(t, http.StatusBadRequest, "Mcp-Session-Id is missing: begin with initialize")
	}
	c := open(t, g, "2025-06-18")
	c.post(fronttest.Initialize("2025-06-18")).
		Refused(t, http.StatusBadRequest, `"id":"init","error":{"code":-32600,"message":"the session is initialized already"`)
	if started := g.Server.Stats.Started.Load(); started != 1 {
		t.Errorf("%d children were started for one session", started)
	}
}

func TestBoundOfSessions(t *testing.T) {
	g := start(
		t,
		fronttest.Options{Limits: func(l *session.Limits) { l.Sessions, l.SessionsPerUser, l.Refuse = 2, 1, true }},
	)
	open(t, g, "2025-06-18")
	refused := func(user string, status int) {
		t.Helper()
		r := g.Do(t, http.MethodPost, "/", fronttest.Initialize("2025-06-18"), "As", user)
		r.Refused(t, status, `"id":"init","error":{"code":-32000`)
		if r.Header.Get("Retry-After") != "10" || r.Header.Get("Mcp-Session-Id") != "" {
			t.Errorf("%s: %v", user, r.Header)
		}
	}
	refused("alice", http.StatusTooManyRequests)
	open(t, g, "2025-06-18", "As", "bob")
	refused("carol", http.StatusServiceUnavailable)
}

// TestAUsersIdlestSessionMakesRoom for one more: many clients never close one.
// One that is listened to, or has a call under way, is not idle.
func TestAUsersIdlestSessionMakesRoom(t *testing.T) {
	g := start(t, fronttest.Options{Limits: func(l *session.Limits) { l.SessionsPerUser = 3 }})
	bobs := open(t, g, "2025-06-18", "As", "bob")
	heard, busy, idle := open(t, g, "2025-06-18"), open(t, g, "2025-06-18"), open(t, g, "2025-06-18")
	heard.standing()
	half := busy.stream(fronttest.Call("1", "half", "", 0))
	half.Next()
	last := open(t, g, "2025-06-18")
	idle.post(ping).Refused(t, http.StatusNotFound, "no such session")
	for _, c := range []*client{heard, busy, last, bobs} {
		if r := c.post(fronttest.Call("2", "echo", "here", 0)); !strings.Contains(r.Body, "here") {
			t.Errorf("one in use, or another's: %d %s", r.Status, r.Body)
		}
	}
	last.standing()
	g.Do(t, http.MethodPost, "/", fronttest.Initialize("2025-06-18")).
		Refused(t, http.StatusTooManyRequests, "3 sessions are open for this user")
}

func versionOf(result []byte) (version string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(result, &members) == nil {
		_ = json.Unmarshal(members["protocolVersion"], &version)
	}
	return version
}

// FuzzAgreed: the version is that of the answer's own member, wherever else the
// word may stand, and nothing but its bytes is changed.
func FuzzAgreed(f *testing.F) {
	f.Add(`{"protocolVersion":"2024-11-05"}`)
	f.Add(`{"a":{"protocolVersion":"2024-11-05"},"protocolVersion" : "2025-06-18"}`)
	f.Add(`{"protocolVersion":"1","b":"2025-11-25"}`)
	f.Add(`{"protocolVersion":null}`)
	f.Add(`{"protocolVersion":"2024-11\u002d05"}`)
	f.Add(`{"a":"\"protocolVersion\":\"2024-11-05\""}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, result string) {
		body := []byte(`{"jsonrpc":"2.0","id":1,"result":` + result + `}`)
		if _, err := rpc.ParseClient(body); err != nil {
			return
		}
		before := string(body)
		changed, version := streamable.Agree(body, rpc.Version20251125)
		if string(body) != before {
			t.Fatal("the child's own line was changed in place")
		}
		m, err := rpc.ParseClient(changed)
		if err != nil {
			t.Fatalf("%s became %s: %v", before, changed, err)
		}
		if version != "" && version != versionOf(m.Result()) {
			t.Errorf("%s: agreed on %q, told %q", before, version, versionOf(m.Result()))
		}
		if versionOf(m.Result()) == rpc.Version20241105 || string(changed) != before && version != rpc.Version20250326 {
			t.Errorf("%s became %s, version %q", before, changed, version)
		}
	})
}
