package fleet

import (
	"testing"
	"time"
)

func TestDemandIsARateTimesTheTimeOfAStart(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, tc := range map[string]struct {
		every, start, silence time.Duration
		asks, least, most     int
	}{
		"nobody asks":                     {time.Second, time.Second, 0, 0, 0, 0},
		"one asked":                       {time.Second, time.Second, 0, 1, 1, 1},
		"one asked long ago":              {time.Second, time.Second, 3 * time.Minute, 1, 0, 0},
		"two a second, a second to start": {500 * time.Millisecond, time.Second, 0, 200, 4, 6},
		"the same, quick to start":        {500 * time.Millisecond, 20 * time.Millisecond, 0, 200, 1, 1},
		"ten a second, slow to start":     {100 * time.Millisecond, 3 * time.Second, 0, 1000, 35, 45},
		"ten a second, a minute ago":      {100 * time.Millisecond, 3 * time.Second, time.Minute, 1000, 5, 10},
	} {
		t.Run(name, func(t *testing.T) {
			var d demand
			at := now
			for range tc.asks {
				d.took(tc.start)
				d.asked(at)
				at = at.Add(tc.every)
			}
			if got := d.ahead(at.Add(tc.silence)); got < tc.least || got > tc.most {
				t.Errorf("%d wait, want %d to %d", got, tc.least, tc.most)
			}
		})
	}
}
