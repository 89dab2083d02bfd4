package stack

import (
	"encoding/json"
	"strings"
	"testing"
)

// The realm file by itself, as an operator applies it: nobody has a password in
// it, nobody may trade one for a token, and nothing is sent to any path of a
// site. What a local stack needs beside it is in a file and a variable of its own.
func TestRealmByItself(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := realmFile(root)
	if err != nil {
		t.Fatal(err)
	}
	var realm struct {
		Life    int      `json:"accessTokenLifespan"`
		Locales []string `json:"supportedLocales"`
		Clients []struct {
			ID        string   `json:"clientId"`
			Grant     any      `json:"directAccessGrantsEnabled"`
			Redirects []string `json:"redirectUris"`
		} `json:"clients"`
		Users []struct {
			Credentials []any `json:"credentials"`
		} `json:"users"`
	}
	if err := json.Unmarshal(text, &realm); err != nil {
		t.Fatal(err)
	}
	if realm.Life < 600 {
		t.Errorf("access tokens live for %d s: some programs count one as lapsed 300 s before its end", realm.Life)
	}
	if got := strings.Join(realm.Locales, " "); got != "en ko" {
		t.Errorf("languages %q", got)
	}
	for _, user := range realm.Users {
		if user.Credentials != nil {
			t.Error("a user has a password")
		}
	}
	for _, c := range realm.Clients {
		if c.Grant != false && c.Grant != "${"+envGrantDefault+"}" {
			t.Errorf("%s may trade a password for a token: %v", c.ID, c.Grant)
		}
		for _, uri := range c.Redirects {
			if strings.Contains(uri, "*") {
				t.Errorf("%s may send a code to %s", c.ID, uri)
			}
		}
	}
}
