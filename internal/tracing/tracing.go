// Package tracing makes OpenTelemetry spans and sends them over OTLP/HTTP,
// where OTEL_EXPORTER_OTLP_ENDPOINT (or the one for traces) is set.
//
// It promises to be free where it is not: Open then returns nil, and every
// method of a nil *Tracer does nothing, allocates nothing and wraps nothing. A
// collector that is slow or away never holds up a request: spans wait in a
// bounded queue and are dropped. It must never know what the spans are about.
package tracing

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes the spans of one program. A nil Tracer is tracing switched off.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	client   *client
}

// Attr is one attribute of a span; those with an empty value are left out.
type Attr struct{ Key, Value string }

// Open reads the standard variables (OTEL_EXPORTER_OTLP_*; the SDK reads
// OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_RESOURCE_ATTRIBUTES and
// OTEL_SERVICE_NAME itself) and returns nil where they switch tracing off.
// failed hears of the first of a run of failed exports.
func Open(ctx context.Context, program string, getenv func(string) string, failed func(error)) (*Tracer, error) {
	c, err := newClient(getenv, failed)
	if c == nil || err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", program)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptrace.New(ctx, c)
	if err != nil {
		return nil, err
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Tracer{provider: provider, tracer: provider.Tracer("gatehouse"), client: c}, nil
}

// Close sends what waits, until ctx.
func (t *Tracer) Close(ctx context.Context) {
	if t == nil {
		return
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		t.client.lost(0, err)
	}
}

// Counts are the spans that the collector took, and those that it did not.
func (t *Tracer) Counts() (sent, lost *atomic.Int64) {
	if t == nil {
		return nil, nil
	}
	return &t.client.taken, &t.client.dropped
}

// Receive puts the caller's trace context (W3C Trace Context) into the
// request's, for Start to find.
func (t *Tracer) Receive(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Start begins a span of a request that came from outside, under the caller's
// span where ctx holds one. A good traceparent goes before that, and the span
// is then linked to what ctx holds.
func (t *Tracer) Start(ctx context.Context, name, traceparent, tracestate string) *Span {
	if t == nil {
		return nil
	}
	name = sound(name)
	kind := trace.WithSpanKind(trace.SpanKindServer)
	if traceparent == "" {
		_, span := t.tracer.Start(ctx, name, kind)
		return &Span{span}
	}
	ambient := trace.SpanContextFromContext(ctx)
	ctx = propagation.TraceContext{}.Extract(
		ctx,
		propagation.MapCarrier{"traceparent": traceparent, "tracestate": tracestate},
	)
	var links []trace.Link
	if ambient.IsValid() && !ambient.Equal(trace.SpanContextFromContext(ctx)) {
		links = append(links, trace.Link{SpanContext: ambient})
	}
	_, span := t.tracer.Start(ctx, name, kind, trace.WithLinks(links...))
	return &Span{span}
}
