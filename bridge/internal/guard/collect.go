package guard

import (
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/session"
)

// Collect registers what the servers and the audit log (which may be nil)
// count themselves. It reads the counts when it is asked, so a call pays
// nothing.
func Collect(reg prometheus.Registerer, sink *audit.Sink, table *session.Table, servers ...*fleet.Server) {
	gauge(reg, "gatehouse_sessions", "Open sessions.", nil, func() float64 { return float64(table.Len()) })
	gauge(reg, "gatehouse_queue_bytes", "Bytes that wait for the readers of sessions.", nil, func() float64 { return float64(table.Queued()) })
	count(reg, "gatehouse_sessions_refused_total", "Sessions refused by a bound, or while the bridge is blind or stopping.", nil, func() float64 { return float64(table.Refused()) })
	if sink != nil {
		count(reg, "gatehouse_audit_lines_total", "Lines in the audit log.", nil, func() float64 { return float64(sink.Written()) })
		count(reg, "gatehouse_audit_dropped_total", "Audit lines lost to a full queue or file.", nil, func() float64 { return float64(sink.Dropped()) })
	}
	for _, s := range servers {
		labels := prometheus.Labels{"gatehouse_server": s.Name}
		count(reg, "gatehouse_children_started_total", "Children started.", labels, func() float64 { return float64(s.Stats.Started.Load()) })
		count(reg, "gatehouse_children_ended_total", "Children that ended.", labels, func() float64 { return float64(s.Stats.Ended.Load()) })
		count(reg, "gatehouse_children_failed_total", "Starts that failed, and children that ended before their first word.", labels, func() float64 { return float64(s.Stats.Failed.Load()) })
		count(reg, "gatehouse_children_restarted_total", "Children started in place of one that a session lost.", labels, func() float64 { return float64(s.Stats.Restarted.Load()) })
		count(reg, "gatehouse_calls_refused_total", "Calls refused by a bound, or because no child can be started.", labels, func() float64 { return float64(s.Stats.Refused.Load()) })
		count(reg, "gatehouse_child_garbage_lines_total", "Lines of children that were no message.", labels, func() float64 { return float64(s.Stats.Garbage.Load()) })
		count(reg, "gatehouse_child_dropped_messages_total", "Messages of children that belonged to nobody.", labels, func() float64 { return float64(s.Stats.Dropped.Load()) })
		gauge(reg, "gatehouse_server_up", "1 where a child can be started, 0 while the breaker holds.", labels, func() float64 {
			if s.Health() != nil {
				return 0
			}
			return 1
		})
	}
}

func gauge(reg prometheus.Registerer, name, help string, labels prometheus.Labels, read func() float64) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, read))
}

func count(reg prometheus.Registerer, name, help string, labels prometheus.Labels, read func() float64) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, read))
}
