package session

import "testing"

func TestIDRoundTrip(t *testing.T) {
	for _, node := range []string{"", "node-1"} {
		id := NewID(node)
		if got, ok := ParseID(id.String()); !ok || got != id {
			t.Errorf("ParseID(%q) = %v, %v", id.String(), got, ok)
		}
	}
	for _, bad := range []string{"", "abc", "UPPER.aaaaaaaa." + NewID("").Secret, NewID("").String() + "!", "." + NewID("").String(), "a.b." + NewID("").String(), NewID("").Label() + ".short"} {
		if _, ok := ParseID(bad); ok {
			t.Errorf("%q passed", bad)
		}
	}
}
