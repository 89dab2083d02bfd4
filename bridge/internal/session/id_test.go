package session

import (
	"testing"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/internal/contract"
)

// TestAPublicIDThatIsTakenIsDrawnAgain: the sessions are found by it, and one
// that lives must not be lost.
func TestAPublicIDThatIsTakenIsDrawnAgain(t *testing.T) {
	server := fleet.NewServer(fleet.ServerConfig{Limits: fleet.DefaultLimits()})
	table := NewTable("", DefaultLimits(), server)
	defer table.Close(t.Context()) //nolint:errcheck // no child runs
	draws := []string{"aaaaaaaa", "aaaaaaaa", "aaaaaaaa", "bbbbbbbb"}
	table.newID = func(node string) ID {
		id := NewID(node)
		id.Public, draws = draws[0], draws[1:]
		return id
	}
	alice := contract.Identity{Subject: "alice"}
	first, _ := table.Open(server, alice, "sse")
	second, err := table.Open(server, alice, "sse")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Session{first, second} {
		if table.Find(s.ID.String(), server, &alice) != s {
			t.Errorf("%s is not found", s.ID.Label())
		}
	}
	if table.Len() != 2 {
		t.Errorf("%d sessions", table.Len())
	}
}

// TestWhereAllAreOneUserNoneIsBounded but all together (--identity none).
func TestWhereAllAreOneUserNoneIsBounded(t *testing.T) {
	limits := DefaultLimits()
	limits.SessionsPerUser, limits.Sessions = 0, 100
	server := fleet.NewServer(fleet.ServerConfig{Limits: limits.Limits})
	table := NewTable("", limits, server)
	defer table.Close(t.Context()) //nolint:errcheck // no child runs
	for n := range 101 {
		if _, err := table.Open(server, contract.Identity{Subject: "local"}, "sse"); (err != nil) != (n == 100) {
			t.Errorf("session %d: %v", n, err)
		}
	}
}

func TestIDRoundTrip(t *testing.T) {
	for _, node := range []string{"", "node-1"} {
		id := NewID(node)
		if got, ok := ParseID(id.String()); !ok || got != id {
			t.Errorf("ParseID(%q) = %v, %v", id.String(), got, ok)
		}
	}
	for _, bad := range []string{"", "abc", "UPPER.aaaaaaaa." + NewID("").Secret, NewID("").String() + "!",
		"." + NewID("").String(), "a.b." + NewID("").String(), NewID("").Label() + ".short"} {
		if _, ok := ParseID(bad); ok {
			t.Errorf("%q passed", bad)
		}
	}
}
