package tracing_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/tracing"
	"gatehouse/internal/tracing/tracingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
	other  = "00-1111111111111111111111111111111c-2222222222222222-01"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func open(t *testing.T, failed func(error), pairs ...string) *tracing.Tracer {
	t.Helper()
	tracer, err := tracing.Open(t.Context(), "prog", env(pairs...), failed)
	if err != nil || tracer == nil {
		t.Fatal(tracer, err)
	}
	return tracer
}

func closeNow(t *testing.T, tracer *tracing.Tracer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tracer.Close(ctx)
}

func TestSpansReachTheCollector(t *testing.T) {
	c := tracingtest.New(t)
	tracer := open(t, nil, "OTEL_EXPORTER_OTLP_ENDPOINT", c.URL, "OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b,y=z")
	c.Refuse(http.StatusServiceUnavailable) // is tried again
	served := tracer.Serve("/auth", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}), func(http.Header) []tracing.Attr { return []tracing.Attr{{Key: "a", Value: "b"}, {Key: "none"}} })
	req := httptest.NewRequest(http.MethodGet, "/auth", nil)
	req.Header.Set("traceparent", parent)
	req.Header.Set("tracestate", "v=1")
	served.ServeHTTP(httptest.NewRecorder(), req)
	closeNow(t, tracer)
	s := c.Wait(t, "GET /auth", func(s tracingtest.Span) bool { return s.Name == "GET /auth" })
	if s.Service != "prog" || s.MadeWith != "go" || s.TraceID != parent[3:35] || s.Parent != parent[36:52] ||
		s.TraceState != "v=1" {
		t.Errorf("span %+v", s)
	}
	if s.Attributes["http.response.status_code"] != "401" || s.Attributes["a"] != "b" || s.Failed ||
		s.Kind != "SPAN_KIND_SERVER" {
		t.Errorf("span %+v", s)
	}
	if h := c.Header(); h.Get("X-Tenant") != "a b" || h.Get("Y") != "z" {
		t.Errorf("headers %v", h)
	}
	if sent, lost := tracer.Counts(); sent.Load() != 1 || lost.Load() != 0 {
		t.Errorf("sent %d, lost %d", sent.Load(), lost.Load())
	}
}

// TestATextThatIsNoUTF8LosesNoSpan: one such text spoils the whole batch that it
// is sent in.
func TestATextThatIsNoUTF8LosesNoSpan(t *testing.T) {
	c := tracingtest.New(t)
	tracer := open(t, nil, "OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	tracer.Start(t.Context(), "of another", "", "").End("")
	span := tracer.Start(t.Context(), "a\xff", "", "")
	span.Set(tracing.Attr{Key: "k", Value: "v\xc3"})
	span.Rename("b\xff")
	span.End("e\xff")
	closeNow(t, tracer)
	if sent, lost := tracer.Counts(); sent.Load() != 2 || lost.Load() != 0 {
		t.Fatalf("sent %d, lost %d", sent.Load(), lost.Load())
	}
	if s := c.Wait(t, "b", func(s tracingtest.Span) bool { return s.Name == "b\ufffd" }); s.Attributes["k"] != "v\ufffd" {
		t.Errorf("span %+v", s)
	}
}

func TestACallsOwnContextGoesBeforeTheRequests(t *testing.T) {
	c := tracingtest.New(t)
	tracer := open(t, nil, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL+"/v1/traces")
	tracer.Receive(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for name, own := range map[string]string{"own": other, "none": "", "bad": "00-zz-1-2"} {
			span := tracer.Start(r.Context(), name, own, "")
			if tp, _ := span.Context(); !strings.HasPrefix(tp, "00-") {
				t.Errorf("%s: context %q", name, tp)
			}
			span.End("denied")
		}
	})).ServeHTTP(nil, func() *http.Request {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("traceparent", parent)
		return req
	}())
	closeNow(t, tracer)
	for name, want := range map[string]string{"own": other, "none": parent, "bad": parent} {
		s := c.Wait(t, name, func(s tracingtest.Span) bool { return s.Name == name })
		if s.TraceID != want[3:35] || s.Parent != want[36:52] || !s.Failed {
			t.Errorf("%s: %+v", name, s)
		}
		if linked := len(s.Linked) == 1 && s.Linked[0] == parent[36:52]; linked != (name == "own") {
			t.Errorf("%s: links %v", name, s.Linked)
		}
	}
}

func TestACollectorThatIsAwayIsToldOnce(t *testing.T) {
	c := tracingtest.New(t)
	c.Refuse(400, 400, 400)
	var told []error
	tracer := open(t, func(err error) { told = append(told, err) }, "OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	tracer.Start(t.Context(), "x", "", "").End("")
	closeNow(t, tracer)
	if _, lost := tracer.Counts(); lost.Load() != 1 || len(told) != 1 {
		t.Errorf("lost %d, told %v", lost.Load(), told)
	}
}

func TestOpenReadsTheStandardVariables(t *testing.T) {
	endpoint := "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, tc := range map[string]struct {
		env  []string
		says string // of an error; "" is: off
	}{
		"nothing set":     {},
		"disabled":        {env: []string{endpoint, "http://x", "OTEL_SDK_DISABLED", "true"}},
		"no exporter":     {env: []string{endpoint, "http://x", "OTEL_TRACES_EXPORTER", "none"}},
		"no URL":          {env: []string{endpoint, "collector:4317"}, says: endpoint},
		"grpc":            {env: []string{endpoint, "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, says: "only http/protobuf"},
		"headers":         {env: []string{endpoint, "http://x", "OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer hush"}, says: "name=value"},
		"timeout":         {env: []string{endpoint, "http://x", "OTEL_EXPORTER_OTLP_TIMEOUT", "5s"}, says: "milliseconds"},
		"no certificate":  {env: []string{endpoint, "https://x", "OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"}, says: "no certificate"},
		"no such file":    {env: []string{endpoint, "https://x", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/nowhere"}, says: "TRACES_CERTIFICATE"},
		"traces endpoint": {env: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://x"}, says: "TRACES_ENDPOINT"},
	} {
		tracer, err := tracing.Open(t.Context(), "prog", env(tc.env...), nil)
		switch {
		case tracer != nil:
			t.Errorf("%s: on", name)
		case tc.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "hush")):
			t.Errorf("%s: err = %v, want one that says %q", name, err, tc.says)
		}
	}
}

// off is all that a request meets where tracing is off.
func off(tracer *tracing.Tracer, next http.Handler, w http.ResponseWriter, r *http.Request) {
	tracer.Receive(tracer.Serve("/auth", next, nil)).ServeHTTP(w, r)
	span := tracer.Start(r.Context(), "tools/call", parent, "")
	span.Set()
	span.Rename("x")
	_, _ = span.Context()
	span.End("")
}

func TestOffIsFree(t *testing.T) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	if n := testing.AllocsPerRun(100, func() { off(nil, next, w, r) }); n != 0 {
		t.Errorf("%v allocations where tracing is off", n)
	}
}

func BenchmarkOff(b *testing.B) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		off(nil, next, w, r)
	}
}
