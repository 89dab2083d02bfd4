package main

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
)

// A browser that begins logins again and again holds few cookies of them, not
// more than nginx takes in a line, and can still end the last one.
func TestLoginCookiesAreBounded(t *testing.T) {
	issuer := issuertest.Start(t)
	g := start(t, issuer, "memory").ready()
	long := "/mcp?x=" + strings.Repeat("y", 1900)
	jar := map[string]string{}
	var order []string
	var state string
	for range 10 {
		var sent []string
		for _, name := range order {
			if value, ok := jar[name]; ok {
				sent = append(sent, name+"="+value)
			}
		}
		res := g.do(g.public, http.MethodGet, "/login?return_to="+long, "", "Cookie", strings.Join(sent, "; "))
		for _, c := range res.Cookies() {
			if c.MaxAge < 0 {
				delete(jar, c.Name)
				continue
			}
			jar[c.Name], order = c.Value, append(order, c.Name)
		}
		to, err := res.Location()
		if err != nil {
			t.Fatal(err)
		}
		state = to.Query().Get("state")
		issuer.Expect(to.Query().Get("nonce"))
		size := 0
		for name, value := range jar {
			size += len(name) + len(value)
		}
		if len(jar) > 3 || size > 4<<10 {
			t.Fatalf("%d cookies of %d bytes", len(jar), size)
		}
	}
	var cookies []string
	for name, value := range jar {
		cookies = append(cookies, name+"="+value)
	}
	res := g.do(g.public, http.MethodGet, answer(issuer, state), "", "Cookie", strings.Join(cookies, "; "))
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != long {
		t.Errorf("the last of them answered %d to %.40q", res.StatusCode, res.Header.Get("Location"))
	}
}
