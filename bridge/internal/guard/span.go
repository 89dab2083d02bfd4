package guard

import (
	"context"
	"strings"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/policy"
	"gatehouse/bridge/internal/telemetry"
	"gatehouse/internal/tracing"
)

// traceCall begins the span of a call, and has the child told of it: whatever
// the server does for the call is then of the same trace. Names and attributes
// are those of the OpenTelemetry conventions for MCP.
func (w *watch) traceCall(ctx context.Context, call *mux.CallInfo) {
	context, ok := call.Message.Trace()
	w.span = w.guard.Tracer.Start(ctx, telemetry.Method(call.Method), context.Parent, context.State)
	if ok {
		call.Edit = context.With(w.span.Context())
	}
	w.span.Set(
		tracing.Attr{Key: "mcp.method.name", Value: clip(call.Method)},
		tracing.Attr{Key: "jsonrpc.request.id", Value: strings.Trim(clip(string(call.Message.ID())), `"`)},
		tracing.Attr{Key: "mcp.session.id", Value: call.Caller.Session}, // the public part: the whole is a credential
		tracing.Attr{Key: "mcp.protocol.version", Value: clip(call.Message.Version())},
		tracing.Attr{Key: "network.transport", Value: "tcp"},
		tracing.Attr{Key: "network.protocol.name", Value: "http"},
		tracing.Attr{Key: "gatehouse.server", Value: call.Caller.Server},
		tracing.Attr{Key: "gatehouse.era", Value: call.Caller.Era},
		tracing.Attr{Key: "gatehouse.request_id", Value: w.record.RequestID},
	)
}

// endSpan tells how the call ended. The span takes the tool's name into its own
// only where the server has answered for it, so that no client can make names
// without end.
func (w *watch) endSpan(outcome, failed string) {
	name := tracing.Attr{Value: clip(w.record.Tool)}
	switch w.record.Kind {
	case policy.Tool.String():
		name.Key = "gen_ai.tool.name"
		w.span.Set(tracing.Attr{Key: "gen_ai.operation.name", Value: "execute_tool"})
	case policy.Prompt.String():
		name.Key = "gen_ai.prompt.name"
	case policy.Resource.String():
		name.Key = "mcp.resource.uri"
	}
	if name.Key != "" {
		w.span.Set(name, tracing.Attr{Key: "gatehouse.rule", Value: w.record.Rule})
	}
	if outcome == "ok" && strings.HasSuffix(name.Key, ".name") {
		w.span.Rename(w.record.Method + " " + name.Value)
	}
	w.span.End(failed)
}

// clip bounds what a client wrote.
func clip(s string) string {
	const most = 256
	return s[:min(len(s), most)]
}
