// Package telemetry holds the bridge's metrics, under the names of the
// OpenTelemetry semantic conventions for MCP as Prometheus writes them.
//
// It promises that no client can make a new series: a method is one of those
// that MCP defines, a tool one that the server listed, and both are _OTHER
// where they are not. It must never know a policy, HTTP or a child.
package telemetry

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	other    = "_OTHER"
	maxTools = 512 // names of tools that are remembered for each server
)

// methods are the requests that MCP defines, in all its versions.
var methods = map[string]bool{
	"initialize": true, "ping": true, "server/discover": true, "logging/setLevel": true, "completion/complete": true,
	"tools/list": true, "tools/call": true, "prompts/list": true, "prompts/get": true,
	"resources/list": true, "resources/templates/list": true, "resources/read": true,
	"resources/subscribe": true, "resources/unsubscribe": true, "subscriptions/listen": true,
}

// Method is a method that MCP defines, or _OTHER: what a client may name a
// series or a span by.
func Method(name string) string {
	if methods[name] {
		return name
	}
	return other
}

// Metrics is the set of the bridge. It is safe for concurrent use.
type Metrics struct {
	operation *prometheus.HistogramVec
	session   *prometheus.HistogramVec
	wake      *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	reloads   *prometheus.CounterVec

	mu     sync.RWMutex
	tools  map[string]map[string]bool // server -> names that it listed
	series map[series]prometheus.Observer
}

// series is an operation's labels. Those in the map hold known names or _OTHER,
// so that there are no more of them than there may be.
type series struct{ server, era, method, tool, errorType string }

// New registers the metrics.
func New(reg prometheus.Registerer) *Metrics {
	buckets := []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300} // of the convention
	m := &Metrics{
		operation: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mcp_server_operation_duration_seconds", Buckets: buckets,
			Help: "MCP request duration, from when it was received until the result was sent.",
		}, []string{"mcp_method_name", "gen_ai_tool_name", "error_type", "gatehouse_server", "gatehouse_era"}),
		session: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mcp_server_session_duration_seconds", Buckets: buckets,
			Help: "Duration of MCP sessions.",
		}, []string{"gatehouse_server", "gatehouse_era"}),
		wake: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_session_wake_duration_seconds", Buckets: buckets,
			Help: "Time from a call of a session that slept until it has a child again, its wait for a turn included.",
		}, []string{"gatehouse_server"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_policy_refusals_total", Help: "Calls refused, by outcome and rule.",
		}, []string{"outcome", "rule"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_policy_reloads_total", Help: "Reads of the policy file, by result.",
		}, []string{"result"}),
		tools: map[string]map[string]bool{}, series: map[series]prometheus.Observer{},
	}
	reg.MustRegister(m.operation, m.session, m.wake, m.refusals, m.reloads)
	return m
}

// Operation records a call that has ended. errorType is "" for a success.
func (m *Metrics) Operation(server, era, method, tool, errorType string, took time.Duration) {
	key := series{server, era, method, tool, errorType}
	m.mu.RLock()
	observer := m.series[key] // there are only known names in it
	if observer == nil {
		key = m.known(key)
		observer = m.series[key]
	}
	m.mu.RUnlock()
	if observer == nil {
		observer = m.observer(key)
	}
	observer.Observe(took.Seconds())
}

// known puts _OTHER in the place of a name that no series may have. The lock is
// held.
func (m *Metrics) known(key series) series {
	key.method = Method(key.method)
	if key.tool != "" && !m.tools[key.server][key.tool] {
		key.tool = other
	}
	return key
}

// observer makes the histogram of an operation whose names are known ones.
func (m *Metrics) observer(key series) prometheus.Observer {
	key.tool = strings.Clone(key.tool) // do not keep the message that it stood in
	o := m.operation.WithLabelValues(key.method, key.tool, key.errorType, key.server, key.era)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.series[key] = o
	return o
}

// Session records a session that has ended.
func (m *Metrics) Session(server, era string, took time.Duration) {
	m.session.WithLabelValues(server, era).Observe(took.Seconds())
}

// Woken records a session that slept and has a child again.
func (m *Metrics) Woken(server string, took time.Duration) {
	m.wake.WithLabelValues(server).Observe(took.Seconds())
}

// Refused counts a refusal; rule is a name of the policy file.
func (m *Metrics) Refused(outcome, rule string) { m.refusals.WithLabelValues(outcome, rule).Inc() }

// Reloaded counts a read of the policy file.
func (m *Metrics) Reloaded(ok bool) {
	result := "kept_old"
	if ok {
		result = "ok"
	}
	m.reloads.WithLabelValues(result).Inc()
}

// Tools are the names that a server has listed, sorted: a copy.
func (m *Metrics) Tools(server string) []string {
	if m == nil { // nobody counts, nobody remembers
		return []string{}
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := make([]string, 0, len(m.tools[server]))
	for name := range m.tools[server] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Listed remembers a tool that the server itself named, so that it may be a
// label.
func (m *Metrics) Listed(server, tool string) {
	if m.listed(server, tool) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names := m.tools[server]
	if names == nil {
		names = map[string]bool{}
		m.tools[server] = names
	}
	if len(names) < maxTools {
		names[tool] = true
	}
}

func (m *Metrics) listed(server, tool string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.tools[server][tool]
}
