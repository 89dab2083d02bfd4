package mux

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/bridge/internal/event"
)

// TestWhatNobodyListensToCostsLittle: a client that never opens its stream, and a
// child that talks on, would hold the bound of a slow reader.
func TestWhatNobodyListensToCostsLittle(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			c, listens := alone(shared), false
			q := event.NewQueue(8 << 20)
			l := &Link{conn: c, standing: q, caller: &Caller{Session: "s"}, listening: func() bool { return listens }}
			c.links[l] = struct{}{}
			line := `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"x":"` +
				strings.Repeat("x", 4<<10) + `"}}`
			for range 1024 {
				routeLine(t, c, line)
			}
			if n := q.Waiting(); n > 64<<10 || n == 0 {
				t.Errorf("%d bytes wait for nobody", n)
			}
			if n := c.o.Stats.Dropped.Load(); n < 1000 {
				t.Errorf("%d dropped messages are counted", n)
			}
			listens = true
			for range 64 {
				routeLine(t, c, line)
			}
			if n := q.Waiting(); n < 64*4<<10 {
				t.Errorf("%d bytes wait for a listener", n)
			}
		})
	}
}
