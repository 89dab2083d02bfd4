package main

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/internal/tracing/tracingtest"
)

// TestOneTraceForOneCall holds what the child is told against what the
// collector gets, in every era.
func TestOneTraceForOneCall(t *testing.T) {
	const outer = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
	seen, collector := newRecord(t), tracingtest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	base := start(t)
	for era, p := range map[string]peer{"sse": newSSEPeer(t, base, ""), "streamable": &streamablePeer{base: base}, "stateless": modernPeer{base}} {
		t.Run(era, func(t *testing.T) {
			name := "of_" + era
			params := `{"name":"` + name + `","_meta":{"progressToken":"p","traceparent":"` + outer + `","tracestate":"v=1"}}`
			if era == "stateless" { // whose _meta the peer writes
				params = `{"name":"` + name + `"}`
			}
			a := p.call(t, "", "tools/call", name, params)
			if a.Error != nil {
				t.Fatalf("%+v", a.Error)
			}
			span := collector.Wait(t, name, func(s tracingtest.Span) bool { return s.Name == "tools/call "+name })
			lines := seen.lines(t, `"`+name+`"`)
			var line struct {
				Params struct {
					Meta map[string]any `json:"_meta"`
				}
			}
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
				t.Fatal(err)
			}
			if want := "00-" + span.TraceID + "-" + span.SpanID + "-01"; line.Params.Meta["traceparent"] != want {
				t.Errorf("the child was told %v, want %s", line.Params.Meta, want)
			}
			if era != "stateless" &&
				(span.TraceID != outer[3:35] || span.Parent != outer[36:52] || line.Params.Meta["tracestate"] != "v=1" || line.Params.Meta["progressToken"] != "p") {
				t.Errorf("the client's own context was not kept: %+v, %v", span, line.Params.Meta)
			}
			for key, want := range map[string]string{
				"mcp.method.name": "tools/call", "gen_ai.tool.name": name, "gen_ai.operation.name": "execute_tool",
				"jsonrpc.request.id": "t", "gatehouse.era": era, "network.transport": "tcp",
			} {
				if span.Attributes[key] != want {
					t.Errorf("%s = %q, want %q", key, span.Attributes[key], want)
				}
			}
			if span.Service != "bridge" || span.Kind != "SPAN_KIND_SERVER" || span.Failed ||
				strings.Contains(span.Attributes["mcp.session.id"], ".") {
				t.Errorf("span %+v", span)
			}
		})
	}
}

// TestNoClientMakesSpanNames: a method that nobody defines is an attribute.
func TestNoClientMakesSpanNames(t *testing.T) {
	newRecord(t)
	collector := tracingtest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	p := &streamablePeer{base: start(t)}
	p.call(t, "", "x/"+strings.Repeat("y", 300), "", `{}`)
	span := collector.Wait(
		t,
		"the call's",
		func(s tracingtest.Span) bool { return s.Attributes["mcp.method.name"] == "x/"+strings.Repeat("y", 254) },
	)
	if span.Name != "_OTHER" {
		t.Errorf("span %+v", span)
	}
}

// TestRelayIsExactWithoutTracing: what the client wrote reaches the child byte
// for byte, also a trace context of its own.
func TestRelayIsExactWithoutTracing(t *testing.T) {
	seen := newRecord(t)
	p := &streamablePeer{base: start(t)}
	params := `{ "name":"exact", "_meta":{"traceparent":"00-x", "z":1.0} }`
	p.call(t, "", "tools/call", "", params)
	if lines := seen.lines(t, "exact"); len(lines) != 1 ||
		strings.TrimSuffix(lines[0], "\n") != stateful("tools/call", params) {
		t.Errorf("the child got %q", lines)
	}
}
