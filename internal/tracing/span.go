package tracing

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5/middleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// sound is the text as protobuf takes it: one that is not UTF-8 would be the
// loss of all spans that are sent with it.
func sound(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// Span is one piece of work. A nil Span is none.
type Span struct{ span trace.Span }

// Set adds attributes.
func (s *Span) Set(attrs ...Attr) {
	if s == nil || !s.span.IsRecording() {
		return
	}
	set := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		if a.Value != "" {
			set = append(set, attribute.String(a.Key, sound(a.Value)))
		}
	}
	s.span.SetAttributes(set...)
}

// Rename gives the span a name that is known only later.
func (s *Span) Rename(name string) {
	if s != nil {
		s.span.SetName(sound(name))
	}
}

// End ends the span. errorType is "" for a success.
func (s *Span) End(errorType string) {
	if s == nil {
		return
	}
	if errorType != "" {
		errorType = sound(errorType)
		s.span.SetAttributes(attribute.String("error.type", errorType))
		s.span.SetStatus(codes.Error, errorType)
	}
	s.span.End()
}

// Context is what those who work for this span are told (W3C Trace Context).
func (s *Span) Context() (traceparent, tracestate string) {
	if s == nil {
		return "", ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), s.span), carrier)
	return carrier["traceparent"], carrier["tracestate"]
}

// Serve makes a span of each request of one route, named as the conventions
// for HTTP say. attrs tells more about the answer from its headers.
func (t *Tracer) Serve(route string, next http.Handler, attrs func(http.Header) []Attr) http.Handler {
	if t == nil {
		return next
	}
	return t.Receive(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		span := t.Start(r.Context(), r.Method+" "+route, "", "")
		span.Set(Attr{"http.request.method", r.Method}, Attr{"http.route", route})
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		ended := "aborted"
		defer func() { span.End(ended) }()
		next.ServeHTTP(ww, r.WithContext(trace.ContextWithSpan(r.Context(), span.span)))
		status := max(ww.Status(), http.StatusOK)
		span.span.SetAttributes(attribute.Int("http.response.status_code", status))
		span.Set(attrs(ww.Header())...)
		ended = ""
		if status >= http.StatusInternalServerError {
			ended = strconv.Itoa(status)
		}
	}))
}
