package mux

import (
	"testing"
	"time"

	"gatehouse/bridge/internal/rpc"
)

// TestATaskKeepsItsChild for as long as the child keeps its result.
func TestATaskKeepsItsChild(t *testing.T) {
	for result, want := range map[string]time.Duration{
		`{"task":{"taskId":"t","status":"working","ttl":60000}}`: time.Minute,
		`{"task":{"taskId":"t","status":"working","ttl":null}}`:  forGood,
		`{"taskId":"t","status":"completed"}`:                    forGood,
		`{"taskId":"t","status":"completed","ttl":1e300}`:        forGood,
		`{"task":{"taskId":"t","ttl":-5}}`:                       0,
		`{"content":[{"type":"text","text":"\"taskId\""}]}`:      0,
	} {
		c := bare(Options{Sleeps: true})
		m, err := rpc.Parse([]byte(`{"jsonrpc":"2.0","id":1,"result":` + result + `}`))
		if err != nil {
			t.Fatal(err)
		}
		c.noteDue(m.Result())
		if got := time.Until(c.due); got > want || want > 0 && got < want-time.Minute/2 {
			t.Errorf("%s keeps its child for %s, want %s", result, got, want)
		}
	}
}
