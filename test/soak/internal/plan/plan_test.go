package plan_test

import (
	"testing"

	"gatehouse/test/soak/internal/plan"
)

func TestSameSeedSameFaults(t *testing.T) {
	one, same := plan.Plan{Seed: 7, Replicas: 1}, plan.Plan{Seed: 7, Replicas: 1}
	other, differs := plan.Plan{Seed: 8, Replicas: 1}, false
	for n := range 200 {
		if one.At(n) != same.At(n) {
			t.Fatalf("step %d: %+v and %+v", n, one.At(n), same.At(n))
		}
		differs = differs || one.At(n) != other.At(n)
	}
	if !differs {
		t.Error("two seeds give the same faults")
	}
}

func TestEachKindOnceInADeck(t *testing.T) {
	for _, p := range []plan.Plan{{Seed: 1}, {Seed: 2, Short: true}, {Seed: 3, Clocks: true, Replicas: 1}} {
		kinds := p.Kinds()
		for deck := range 5 {
			seen := map[plan.Kind]bool{}
			for i := range kinds {
				s := p.At(deck*len(kinds) + i)
				seen[s.Kind] = true
				if s.Hold <= 0 || s.Rest <= 0 || s.Replica < 0 || s.Replica > p.Replicas {
					t.Errorf("%+v of %+v", s, p)
				}
			}
			if len(seen) != len(kinds) {
				t.Errorf("deck %d of %+v has %d of %d kinds", deck, p, len(seen), len(kinds))
			}
		}
	}
}
