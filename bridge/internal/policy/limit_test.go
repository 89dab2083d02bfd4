package policy_test

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/bridge/internal/policy"
)

func TestLimits(t *testing.T) {
	p := mustParse(t, "default: deny\nrules:\n- {name: r, tools: ['*'], limit: {per_minute: 3, in_flight: 2}}\n")
	now := time.Unix(1_800_000_000, 0)
	limits := policy.NewLimits(func() time.Time { return now })
	take := func(user_, tool string) (policy.Outcome, time.Duration, func()) {
		d := p.Decide(user("", ""), "s", policy.Tool, tool, nil)
		d, wait, done := limits.Take(d, user_, "s", policy.Tool, tool)
		return d.Outcome, wait, done
	}
	expect := func(what string, got, want policy.Outcome) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	o, _, first := take("a", "x")
	expect("first", o, policy.Allowed)
	o, _, second := take("a", "x")
	expect("second", o, policy.Allowed)
	o, wait, _ := take("a", "x")
	expect("third in flight", o, policy.Limited)
	if wait != 0 {
		t.Errorf("a call in flight decides, yet wait = %v", wait)
	}
	o, _, _ = take("a", "y")
	expect("another tool", o, policy.Allowed)
	o, _, _ = take("b", "x")
	expect("another user", o, policy.Allowed)
	first()
	first() // once is what counts
	second()
	o, _, done := take("a", "x")
	expect("after both ended", o, policy.Allowed)
	done()
	o, wait, _ = take("a", "x")
	expect("fourth in the minute", o, policy.Limited)
	if wait != 20*time.Second {
		t.Errorf("wait = %v, want 20s", wait)
	}
	now = now.Add(wait)
	o, _, _ = take("a", "x")
	expect("after the wait", o, policy.Allowed)
}

func TestInventedNamesAreBounded(t *testing.T) {
	p := mustParse(t, "default: deny\nrules:\n- {name: r, tools: ['*'], limit: {per_minute: 3}}\n")
	now := time.Unix(1_800_000_000, 0)
	limits := policy.NewLimits(func() time.Time { return now })
	allowed := 0
	for i := range 1000 {
		d := p.Decide(user("", ""), "s", policy.Tool, fmt.Sprint(i), nil)
		d, _, done := limits.Take(d, "u", "s", policy.Tool, fmt.Sprint(i))
		if d.Outcome == policy.Allowed {
			allowed++
			done()
		}
	}
	if allowed != 256 {
		t.Errorf("%d invented names got a bucket, want 256", allowed)
	}
	now = now.Add(time.Minute)
	d, _, _ := limits.Take(p.Decide(user("", ""), "s", policy.Tool, "new", nil), "u", "s", policy.Tool, "new")
	if d.Outcome != policy.Allowed {
		t.Errorf("a minute later: %v", d.Outcome)
	}
}
