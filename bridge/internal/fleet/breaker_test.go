package fleet

import (
	"strings"
	"testing"
	"time"
)

func TestBreakerOpensDoublesAndCloses(t *testing.T) {
	var b Breaker
	now := time.Now()
	for range FreeFails {
		b.Bad(now, "it is broken")
	}
	if b.Refusal(now) != nil {
		t.Fatal("the first failures cost nothing")
	}
	last := time.Duration(0)
	for range 12 {
		b.Bad(now, "it is broken")
		r := b.Refusal(now)
		if r == nil || r.Full || r.Retry < last || r.Retry > BreakerLast || !strings.Contains(r.Reason, "it is broken") {
			t.Fatalf("refusal %+v after %s", r, last)
		}
		last = r.Retry
	}
	if last != BreakerLast || b.Refusal(now.Add(BreakerLast)) != nil {
		t.Errorf("the last wait is %s, and must end", last)
	}
	b.Good()
	if b.Refusal(now) != nil {
		t.Error("a server that spoke is refused")
	}
}
