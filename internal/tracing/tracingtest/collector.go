// Package tracingtest is an OTLP collector for tests: it takes spans over
// OTLP/HTTP in protobuf and keeps them.
package tracingtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it came, with what a test asks of it.
type Span struct {
	Service, Name, Kind     string
	TraceID, SpanID, Parent string // in hex
	Linked                  []string
	Attributes              map[string]string
	Failed                  bool
	TraceState, MadeWith    string
}

// Collector keeps the spans that it is sent.
type Collector struct {
	URL string // for OTEL_EXPORTER_OTLP_ENDPOINT

	mu     sync.Mutex
	spans  []Span
	header http.Header
	refuse []int // the next answers
	came   chan struct{}
}

// New starts a collector that ends with the test.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{came: make(chan struct{}, 1)}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Refuse makes the next answers these.
func (c *Collector) Refuse(status ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = status
}

// Header is that of the last request.
func (c *Collector) Header() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header
}

// ServeHTTP takes POST /v1/traces.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var data tracepb.TracesData
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &data) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = r.Header
	if len(c.refuse) > 0 {
		w.WriteHeader(c.refuse[0])
		c.refuse = c.refuse[1:]
		return
	}
	for _, resource := range data.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, read(resource, s))
			}
		}
	}
	select {
	case c.came <- struct{}{}:
	default:
	}
}

func read(resource *tracepb.ResourceSpans, s *tracepb.Span) Span {
	out := Span{
		Name: s.GetName(), Kind: s.GetKind().String(), TraceState: s.GetTraceState(),
		TraceID: fmt.Sprintf(
			"%x",
			s.GetTraceId(),
		), SpanID: fmt.Sprintf("%x", s.GetSpanId()), Parent: fmt.Sprintf("%x", s.GetParentSpanId()),
		Failed: s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR, Attributes: map[string]string{},
	}
	for _, a := range resource.GetResource().GetAttributes() {
		switch a.GetKey() {
		case "service.name":
			out.Service = a.GetValue().GetStringValue()
		case "telemetry.sdk.language":
			out.MadeWith = a.GetValue().GetStringValue()
		}
	}
	for _, a := range s.GetAttributes() {
		text := a.GetValue().GetStringValue()
		if text == "" {
			text = fmt.Sprint(a.GetValue().GetIntValue())
		}
		out.Attributes[a.GetKey()] = text
	}
	for _, l := range s.GetLinks() {
		out.Linked = append(out.Linked, fmt.Sprintf("%x", l.GetSpanId()))
	}
	return out
}

// Wait returns the first span that matches, once it is here.
func (c *Collector) Wait(t testing.TB, what string, match func(Span) bool) Span {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		c.mu.Lock()
		for _, s := range c.spans {
			if match(s) {
				c.mu.Unlock()
				return s
			}
		}
		have := len(c.spans)
		c.mu.Unlock()
		select {
		case <-c.came:
		case <-ctx.Done():
			t.Fatalf("no span of %s among %d: %+v", what, have, c.spans)
		}
	}
}
