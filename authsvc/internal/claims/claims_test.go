package claims_test

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"testing"

	"gatehouse/authsvc/internal/claims"
)

// samples are the tokens that each provider's documentation prints, and what
// must be read from them (testdata/samples.json names the pages).
type sample struct {
	Name, Provider, Client, Header string
	Payload                        json.RawMessage
	Access                         bool
	Want                           claims.Person
}

func TestPublishedSamples(t *testing.T) {
	raw, err := os.ReadFile("testdata/samples.json")
	if err != nil {
		t.Fatal(err)
	}
	var samples []sample
	if err := json.Unmarshal(raw, &samples); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range samples {
		t.Run(s.Name, func(t *testing.T) {
			seen[s.Provider] = true
			m, ok := claims.Of(s.Provider, s.Client)
			if !ok {
				t.Fatalf("no provider %q", s.Provider)
			}
			p, err := claims.Parse(s.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.IsAccess(s.Header, p); got != s.Access {
				t.Errorf("an access token: %v, want %v", got, s.Access)
			}
			got, err := m.Person(p)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Roles) == 0 {
				got.Roles = nil
			}
			if !reflect.DeepEqual(got, s.Want) {
				t.Errorf("read %+v\nwant %+v", got, s.Want)
			}
		})
	}
	for _, vendor := range claims.Vendors() {
		if !seen[vendor] {
			t.Errorf("no sample of %s", vendor)
		}
	}
}

func TestRolesFollowAndAreChosen(t *testing.T) {
	m, _ := claims.Of("oidc", "gate")
	m.Roles = []string{"groups", "https://gate.example.com/roles", "resource_access.{client}.roles"}
	m.Grants = map[string][]string{"/Engineering": {"mcp-user", "dev"}}
	p, err := claims.Parse([]byte(`{"sub":"x","groups":["/Engineering","a b"],"https://gate.example.com/roles":"one",
		"resource_access":{"gate":{"roles":["two"]},"other":{"roles":["not this"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ keep, want []string }{
		{nil, []string{"/Engineering", "a b", "dev", "mcp-user", "one", "two"}},
		{[]string{"mcp-*", "t*o", "none"}, []string{"mcp-user", "two"}},
		{[]string{"*"}, []string{"/Engineering", "a b", "dev", "mcp-user", "one", "two"}},
	} {
		m.Keep = c.keep
		if got, err := m.Person(p); err != nil || !slices.Equal(got.Roles, c.want) {
			t.Errorf("%q keeps %q, %v; want %q", c.keep, got.Roles, err, c.want)
		}
	}
	m.Keep = nil
	if got := m.With(claims.Person{Roles: []string{"z"}, Overage: true}, []string{"/Engineering"}); got.Overage ||
		!slices.Equal(got.Roles, []string{"/Engineering", "dev", "mcp-user", "z"}) {
		t.Errorf("with groups from elsewhere: %+v", got)
	}
}

// What is not of the form that it must have is an error: nothing is left out.
func TestFormsThatAreWrong(t *testing.T) {
	m, _ := claims.Of("keycloak", "gate")
	for _, payload := range []string{
		`{"sub":7}`, `{"sub":"x","realm_access":{"roles":["a",1]}}`, `{"sub":"x","realm_access":{"roles":["a",""]}}`,
		`{"sub":"x","realm_access":{"roles":{"a":true}}}`, `{"sub":"x","scope":7}`, `{"sub":"x","sid":["a"]}`,
	} {
		p, err := claims.Parse([]byte(payload))
		if err == nil {
			_, err = m.Person(p)
		}
		if !errors.Is(err, claims.ErrClaims) {
			t.Errorf("%s: err = %v", payload, err)
		}
	}
	for _, raw := range []string{``, `[]`, `null`, `"x"`} {
		if _, err := claims.Parse([]byte(raw)); !errors.Is(err, claims.ErrClaims) {
			t.Errorf("%q: err = %v", raw, err)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "ab", true}, {"*b", "ab", true}, {"*", "", true}, {"a*b*c", "axbyc", true},
		{"a*b*c", "axyc", false}, {"a*a", "a", false}, {"*/x", "/a/b/x", true}, {"a?", "ab", false}, {"", "", true}, {"", "a", false},
	} {
		if got := claims.Match(c.glob, c.name); got != c.want {
			t.Errorf("%q matches %q: %v", c.glob, c.name, got)
		}
	}
}

func FuzzPerson(f *testing.F) {
	f.Add(`{"sub":"x","realm_access":{"roles":["a"]},"email":"a@b","email_verified":true}`)
	f.Fuzz(func(t *testing.T, payload string) {
		p, err := claims.Parse([]byte(payload))
		if err != nil {
			return
		}
		for _, vendor := range claims.Vendors() {
			m, _ := claims.Of(vendor, "gate")
			who, err := m.Person(p)
			if err == nil && slices.Contains(who.Roles, "") {
				t.Errorf("%s: an empty role from %s", vendor, payload)
			}
			if p["email_verified"] == nil && p["xms_edov"] == nil && who.Email != "" {
				t.Errorf("%s: an address that nobody verified from %s", vendor, payload)
			}
		}
	})
}
