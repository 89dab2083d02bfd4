package check

import (
	"fmt"
	"testing"

	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

func verdictOf(subject, sid string) *verdict {
	return &verdict{id: contract.Identity{Subject: subject, SessionID: sid}}
}

// Whatever ends is forgotten, in both generations, and nothing beside it; and
// what was forgotten or dropped leaves nothing behind.
func TestEndingForgetsWhatItEnds(t *testing.T) {
	c := newCache(8)
	for i := range 7 {
		c.put(key{byte(i)}, verdictOf(fmt.Sprint("user", i%2), fmt.Sprint("sid", i)))
	}
	c.dropEnded("sid3")
	if c.get(key{3}) != nil || c.get(key{5}) == nil {
		t.Error("an ended session is remembered, or another of its user is not")
	}
	c.dropEnded(session.UserEnding("user1"))
	for i := range 7 {
		if have := c.get(key{byte(i)}) != nil; have != (i%2 == 0) {
			t.Errorf("verdict %d is remembered: %t", i, have)
		}
	}
	c.dropEnded(session.UserEnding("user0"))
	for _, g := range []generation{c.young, c.old} {
		if len(g.verdicts) != 0 || len(g.of) != 0 {
			t.Errorf("left behind: %d verdicts, %d ids", len(g.verdicts), len(g.of))
		}
	}
}

// An ending costs what it ends: with a hundred times the verdicts it takes as
// long. (BenchmarkEnding prints it.)
func BenchmarkEnding(b *testing.B) {
	for _, most := range []int{100, 10_000} {
		b.Run(fmt.Sprint(most), func(b *testing.B) {
			c := newCache(2 * most)
			for i := range most {
				c.put(key{byte(i), byte(i >> 8)}, verdictOf(fmt.Sprint(i), fmt.Sprint("sid", i)))
			}
			for b.Loop() {
				c.dropEnded("none of them")
			}
		})
	}
}
