package login

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/authsvc/internal/session"
)

// A login under way opens with its own state, in time, and unchanged.
func TestFlowOpensOnceBegunHere(t *testing.T) {
	box, now := session.NewBox([]byte("a store key"), "login"), time.Unix(1e9, 0)
	cookie, err := sealFlow(box, "", "state", newFlow("/mcp", now))
	if err != nil {
		t.Fatal(err)
	}
	open := func(box *session.Box, state, value string, at time.Time) error {
		r := httptest.NewRequest("GET", "/callback", nil)
		c := *cookie
		c.Name, c.Value = cookieName("", state), value
		r.AddCookie(&c)
		f, err := openFlow(box, "", r, state, at)
		if err == nil && f.Return != "/mcp" {
			t.Errorf("it leads to %q", f.Return)
		}
		return err
	}
	if err := open(box, "state", cookie.Value, now.Add(flowLife)); err != nil {
		t.Error(err)
	}
	other := session.NewBox([]byte("another store key"), "login")
	for name, err := range map[string]error{
		"too late":         open(box, "state", cookie.Value, now.Add(flowLife+time.Second)),
		"another state":    open(box, "other", cookie.Value, now),
		"changed":          open(box, "state", "A"+cookie.Value[1:], now),
		"another key":      open(other, "state", cookie.Value, now),
		"cut":              open(box, "state", cookie.Value[:8], now),
		"not even base 64": open(box, "state", "!", now),
	} {
		if !errors.Is(err, errFlow) {
			t.Errorf("%s: %v, want errFlow", name, err)
		}
	}
}
