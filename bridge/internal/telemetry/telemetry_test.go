package telemetry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/bridge/internal/telemetry"
)

func TestAClientCannotMakeASeries(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := telemetry.New(reg)
	m.Listed("slack", "send")
	m.Operation("slack", "sse", "tools/call", "send", "", time.Second)
	for i := range 1000 {
		m.Operation("slack", "sse", fmt.Sprint("x/", i), fmt.Sprint("tool", i), "", time.Second)
		m.Listed("slack", fmt.Sprint("listed", i)) // a server that never stops is bounded too
	}
	for i := range 1000 {
		m.Operation("slack", "sse", "tools/call", fmt.Sprint("listed", i), "", time.Second)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, f := range families {
		if f.GetName() == "mcp_server_operation_duration_seconds" {
			series += len(f.GetMetric())
		}
	}
	if series != 514 {
		t.Errorf("%d series, want 512 listed tools and two of _OTHER", series)
	}
}
