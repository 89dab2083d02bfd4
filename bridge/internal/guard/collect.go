package guard

import (
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/session"
)

// Collect registers what the servers and the audit log (which may be nil)
// count themselves. It reads the counts when it is asked, so a call pays
// nothing.
func Collect(reg prometheus.Registerer, sink *audit.Sink, servers ...*session.Server) {
	if sink != nil {
		count(reg, "gatehouse_audit_lines_total", "Lines in the audit log.", nil, func() float64 { return float64(sink.Written()) })
		count(reg, "gatehouse_audit_dropped_total", "Audit lines lost to a full queue or file.", nil, func() float64 { return float64(sink.Dropped()) })
	}
	for _, s := range servers {
		labels := prometheus.Labels{"gatehouse_server": s.Name}
		count(reg, "gatehouse_children_started_total", "Children started.", labels, func() float64 { return float64(s.Stats.Started.Load()) })
		count(reg, "gatehouse_children_ended_total", "Children that ended.", labels, func() float64 { return float64(s.Stats.Ended.Load()) })
		count(reg, "gatehouse_child_garbage_lines_total", "Lines of children that were no message.", labels, func() float64 { return float64(s.Stats.Garbage.Load()) })
		count(reg, "gatehouse_child_dropped_messages_total", "Messages of children that belonged to nobody.", labels, func() float64 { return float64(s.Stats.Dropped.Load()) })
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatehouse_server_up", Help: "1 where a child can be started, 0 while the breaker holds.", ConstLabels: labels,
		}, func() float64 {
			if s.Health() != nil {
				return 0
			}
			return 1
		}))
	}
}

func count(reg prometheus.Registerer, name, help string, labels prometheus.Labels, read func() float64) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, read))
}
