package guard

import (
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/session"
)

// Collect registers what the table, the servers and the audit log (which may be
// nil) count themselves. It reads the counts when it is asked, so a call pays
// nothing. servers are those of that moment by name, with nil for one that
// cannot be served.
func Collect(
	reg prometheus.Registerer, sink *audit.Sink, table *session.Table, servers func() map[string]*fleet.Server,
) {
	gauge(reg, "gatehouse_sessions", "Open sessions.", func() float64 { return float64(table.Len()) })
	gauge(reg, "gatehouse_queue_bytes", "Bytes that wait for the readers of sessions.",
		func() float64 { return float64(table.Queued()) })
	count(reg, "gatehouse_sessions_refused_total",
		"Sessions refused by a bound, or while the bridge is blind or stopping.",
		func() float64 { return float64(table.Refused()) })
	if sink != nil {
		count(reg, "gatehouse_audit_lines_total", "Lines in the audit log.",
			func() float64 { return float64(sink.Written()) })
		count(reg, "gatehouse_audit_dropped_total", "Audit lines lost to a full queue or file.",
			func() float64 { return float64(sink.Dropped()) })
	}
	reg.MustRegister(newCollector(servers, table.Asleep))
}

func gauge(reg prometheus.Registerer, name, help string, read func() float64) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

func count(reg prometheus.Registerer, name, help string, read func() float64) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

// collector reads the servers of the moment: a configuration that is read again
// has others.
type collector struct {
	servers func() map[string]*fleet.Server
	asleep  func() map[string]int
	series  []series
	up      *prometheus.Desc
	sleeps  *prometheus.Desc
}

type series struct {
	desc *prometheus.Desc
	read func(*fleet.Stats) int64
}

func newCollector(servers func() map[string]*fleet.Server, asleep func() map[string]int) *collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"gatehouse_server"}, nil)
	}
	c := &collector{
		servers: servers, asleep: asleep,
		sleeps: desc("gatehouse_sessions_asleep", "Open sessions whose child has ended until their next call."),
		up:     desc("gatehouse_server_up", "1 where a child can be started, 0 while the breaker holds."),
	}
	for _, s := range []struct {
		name, help string
		read       func(*fleet.Stats) int64
	}{
		{"gatehouse_children_started_total", "Children started.",
			func(s *fleet.Stats) int64 { return s.Started.Load() }},
		{"gatehouse_children_ended_total", "Children that ended.",
			func(s *fleet.Stats) int64 { return s.Ended.Load() }},
		{"gatehouse_children_failed_total", "Starts that failed, and children that ended before their first word.",
			func(s *fleet.Stats) int64 { return s.Failed.Load() }},
		{"gatehouse_children_restarted_total", "Children started in place of one that a session lost.",
			func(s *fleet.Stats) int64 { return s.Restarted.Load() }},
		{"gatehouse_session_sleeps_total", "Children that ended because their session slept.",
			func(s *fleet.Stats) int64 { return s.Slept.Load() }},
		{"gatehouse_session_wakes_failed_total", "Sessions that wanted a child again and did not get it.",
			func(s *fleet.Stats) int64 { return s.NotWoken.Load() }},
		{"gatehouse_calls_refused_total", "Calls refused by a bound, or because no child can be started.",
			func(s *fleet.Stats) int64 { return s.Refused.Load() }},
		{"gatehouse_child_garbage_lines_total", "Lines of children that were no message.",
			func(s *fleet.Stats) int64 { return s.Garbage.Load() }},
		{"gatehouse_child_dropped_messages_total", "Messages of children that belonged to nobody, or that nobody heard.",
			func(s *fleet.Stats) int64 { return s.Dropped.Load() }},
	} {
		c.series = append(c.series, series{desc(s.name, s.help), s.read})
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.up
	out <- c.sleeps
	for _, s := range c.series {
		out <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	asleep := c.asleep()
	for name, server := range c.servers() {
		up := 0.0
		if server != nil {
			if server.Health() == nil {
				up = 1
			}
			for _, s := range c.series {
				out <- prometheus.MustNewConstMetric(s.desc, prometheus.CounterValue, float64(s.read(&server.Stats)), name)
			}
		}
		out <- prometheus.MustNewConstMetric(c.sleeps, prometheus.GaugeValue, float64(asleep[name]), name)
		out <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up, name)
	}
}
