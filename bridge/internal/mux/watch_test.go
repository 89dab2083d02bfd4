package mux

import (
	"slices"
	"testing"

	"gatehouse/bridge/internal/event"
	"gatehouse/bridge/internal/rpc"
)

// diary notes in which order things happen to a call.
type diary struct{ notes []string }

func (d *diary) Result(raw []byte) []byte { d.notes = append(d.notes, "result"); return raw }
func (d *diary) Release()                 { d.notes = append(d.notes, "release") }
func (d *diary) End(o Outcome)            { d.notes = append(d.notes, "end "+o.Status) }
func (d *diary) Push(event.Event) bool    { d.notes = append(d.notes, "answer"); return true }

// TestWhatACallHeldIsFreeBeforeItsAnswer: the client may call again at once;
// what is written down about the call can wait.
func TestWhatACallHeldIsFreeBeforeItsAnswer(t *testing.T) {
	message, err := rpc.Parse([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		do   func(*Call)
		want []string
	}{
		"answered":    {func(c *Call) { c.finish(&message) }, []string{"result", "release", "answer", "end ok"}},
		"failed":      {func(c *Call) { c.fail("died", &rpc.Error{}) }, []string{"release", "answer", "end died"}},
		"cancelled":   {(*Call).silence, []string{"release", "answer", "end cancelled"}},
		"never asked": {func(c *Call) { c.undelivered("refused") }, []string{"release", "end refused"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := &diary{}
			tc.do(&Call{sink: d, watch: d, id: []byte("1"), key: "1"})
			if !slices.Equal(d.notes, tc.want) {
				t.Errorf("%v, want %v", d.notes, tc.want)
			}
		})
	}
}
