package streamable_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/bridge/internal/fronttest"
	"gatehouse/bridge/internal/session"
)

const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

func TestMethods(t *testing.T) {
	g := start(t, fronttest.Options{})
	c := open(t, g, "2025-06-18")
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodOptions} {
		r := c.do(method, "{}")
		r.Refused(t, http.StatusMethodNotAllowed, "only GET, POST and DELETE")
		if allow := r.Header.Get("Allow"); allow != "GET, POST, DELETE" {
			t.Errorf("%s: Allow is %q", method, allow)
		}
	}
	if r := c.do(http.MethodHead, ""); r.Status != http.StatusMethodNotAllowed || r.Header.Get("Allow") == "" {
		t.Errorf("HEAD: %d %v", r.Status, r.Header)
	}
}

func TestDeleteEndsTheSession(t *testing.T) {
	g := start(t, fronttest.Options{})
	c := open(t, g, "2025-11-25")
	s := c.standing()
	if r := c.do(http.MethodDelete, ""); r.Status != http.StatusNoContent || r.Body != "" {
		t.Errorf("DELETE: %d %q", r.Status, r.Body)
	}
	if rest := s.Rest(); len(rest) != 0 {
		t.Errorf("after the end the stream told %+v", rest)
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		c.do(method, ping).Refused(t, http.StatusNotFound, `"code":-32001,"message":"no such session"`)
	}
	fronttest.Eventually(t, "the child is gone", func() bool { return g.Server.Stats.Ended.Load() == 1 })
}

// TestASessionIsItsOwnersAlone: whoever else asks learns no more than that it is
// not there; one who names none learns that he must.
func TestASessionIsItsOwnersAlone(t *testing.T) {
	g := start(t, fronttest.Options{})
	c := open(t, g, "2025-03-26")
	other, err := g.Table.Open(g.Server, *alice, "sse")
	if err != nil {
		t.Fatal(err)
	}
	dot := strings.LastIndexByte(c.id(), '.')
	for name, tc := range map[string]struct {
		user, id string
		status   int
		says     string
	}{
		"another identity":  {"bob", c.id(), http.StatusNotFound, "no such session"},
		"no id":             {"alice", "", http.StatusBadRequest, "Mcp-Session-Id is missing"},
		"the public part":   {"alice", c.id()[:dot], http.StatusNotFound, "no such session"},
		"a secret too long": {"alice", c.id() + "a", http.StatusNotFound, "no such session"},
		"another node":      {"alice", "east." + c.id(), http.StatusNotFound, "no such session"},
		"a session of /sse": {"alice", other.ID.String(), http.StatusNotFound, "no such session"},
		"garbage":           {"alice", strings.Repeat("%", 9000), http.StatusNotFound, "no such session"},
	} {
		for message, send := range map[string]struct{ method, body string }{
			"a call": {http.MethodPost, ping}, "a notification": {http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/x"}`},
			"a batch": {http.MethodPost, "[" + ping + "]"}, "GET": {http.MethodGet, ""}, "DELETE": {http.MethodDelete, ""},
		} {
			t.Run(name+"/"+message, func(t *testing.T) {
				headers := []string{"As", tc.user}
				if tc.id != "" {
					headers = append(headers, "Mcp-Session-Id", tc.id)
				}
				g.Do(t, send.method, "/", send.body, headers...).Refused(t, tc.status, tc.says)
			})
		}
	}
	if r := c.post(fronttest.Call("1", "told", "", 0)); !strings.Contains(r.Body, `"notifications/initialized"`) {
		t.Errorf("after the refusals the child has heard %s", r.Body)
	}
}

func TestASessionThatEndsAnswersWhoWaits(t *testing.T) {
	g := start(t, fronttest.Options{})
	c := open(t, g, "2025-06-18")
	half := c.stream(fronttest.Call("1", "half", "", 0))
	half.Next()
	waits := make(chan fronttest.Reply, 1)
	go func() { waits <- c.post(fronttest.Call("2", "hang", "", 0)) }()
	s := g.Table.Find(c.id(), g.Server, alice)
	c.awaitHanging()
	s.End(session.ErrLoginOver)
	(<-waits).Refused(t, http.StatusOK, `"id":2,"error":{"code":-32001,"message":"the session, or the login, has ended"`)
	if rest := half.Rest(); len(rest) != 0 {
		t.Errorf("the stream of a call told %+v after the end", rest)
	}
}
