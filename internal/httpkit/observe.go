package httpkit

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// NewLogger writes JSON lines to w at level and above ("debug", "info",
// "warn", "error"); each line names the program.
func NewLogger(w io.Writer, program, level string) (zerolog.Logger, error) {
	l, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		return zerolog.Nop(), fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	return zerolog.New(zerolog.SyncWriter(w)).Level(l).With().Timestamp().Str("program", program).Logger(), nil
}

// NewRegistry is a metrics registry with the process and the Go runtime in it:
// also with what lived at the last collection, by which a leak can be told from
// a heap that is let grow.
func NewRegistry() *prometheus.Registry {
	live := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)}
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(live)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return reg
}

// CountSpans registers what became of a program's spans, where it makes any.
func CountSpans(reg prometheus.Registerer, sent, lost *atomic.Int64) {
	for result, n := range map[string]*atomic.Int64{"sent": sent, "lost": lost} {
		if n != nil {
			reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "gatehouse_spans_total", Help: "Spans that the collector took, or that it did not.",
				ConstLabels: prometheus.Labels{"result": result},
			}, func() float64 { return float64(n.Load()) }))
		}
	}
}

// Metrics serves the registry in the formats of Prometheus.
func Metrics(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg})
}
