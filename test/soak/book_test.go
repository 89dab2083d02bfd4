package main

import (
	"path/filepath"
	"testing"
	"time"

	"gatehouse/test/soak/internal/plan"
)

// TestARunGoesOn where it was stopped, and only with what it was begun with.
func TestARunGoesOn(t *testing.T) {
	o := options{state: filepath.Join(t.TempDir(), "7.json"), seed: 7, sessions: 20, length: time.Hour}
	b, err := openBook(o)
	if err != nil {
		t.Fatal(err)
	}
	b.enter("2024-11-05", "good")
	b.recovered(plan.RedisHang, 2*time.Second)
	b.breach("a promise")
	b.weigh("bridge", 12, time.Minute, 20)
	b.Step = 5
	if err := b.save(10 * time.Minute); err != nil {
		t.Fatal(err)
	}
	again, err := openBook(o)
	if err != nil {
		t.Fatal(err)
	}
	again.enter("2024-11-05", "good")
	again.weigh("bridge", 12, 2*time.Minute, 20)
	if again.Step != 5 || again.Spent != 10*time.Minute || again.Outcomes["2024-11-05"]["good"] != 2 ||
		again.Faults[plan.RedisHang].N != 1 || again.Broken != 1 || len(again.Lives) != 1 {
		t.Errorf("it goes on with %+v", again)
	}
	o.sessions = 30
	if _, err := openBook(o); err == nil {
		t.Error("it goes on with other callers")
	}
}
