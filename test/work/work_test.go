package work_test

import (
	"testing"
	"time"

	"gatehouse/test/work"
)

// Waiting is no work, and working is.
func TestWorkIsCountedAndWaitingIsNot(t *testing.T) {
	const long = 200 * time.Millisecond
	if took := work.Of(func() { <-time.After(long) }); took > long/2 {
		t.Errorf("a wait of %s took %s of a processor", long, took)
	}
	begin, most := time.Now(), time.Duration(0)
	for most < long/4 && time.Since(begin) < time.Minute { // the processor may be another's all the while
		most = max(most, work.Of(func() {
			for end := time.Now().Add(long); time.Now().Before(end); {
				_ = most
			}
		}))
	}
	if most < long/4 {
		t.Errorf("working for %s took %s of a processor", long, most)
	}
}
