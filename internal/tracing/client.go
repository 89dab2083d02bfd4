package tracing

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	tries       = 3
	firstWait   = 500 * time.Millisecond
	defaultTime = 10 * time.Second // OTEL_EXPORTER_OTLP_TIMEOUT
)

// client sends spans by OTLP/HTTP with protobuf. The exporter that
// OpenTelemetry ships for this links all of gRPC.
type client struct {
	url     string
	headers http.Header
	http    *http.Client
	failed  func(error)

	taken, dropped atomic.Int64
	failing        atomic.Bool
}

// newClient returns nil where no endpoint is set.
func newClient(getenv func(string) string, failed func(error)) (*client, error) {
	get := func(name string) (value, from string) {
		from = "OTEL_EXPORTER_OTLP_TRACES_" + name
		if value = getenv(from); value == "" {
			from = "OTEL_EXPORTER_OTLP_" + name
			value = getenv(from)
		}
		return value, from
	}
	endpoint, from := get("ENDPOINT")
	if endpoint == "" || strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") ||
		getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s %q: want an http or https URL, such as http://127.0.0.1:4318", from, endpoint)
	}
	if from == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u = u.JoinPath("v1", "traces")
	}
	if protocol, from := get("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return nil, fmt.Errorf("%s %q: only http/protobuf is spoken here", from, protocol)
	}
	c := &client{url: u.String(), failed: failed}
	text, from := get("HEADERS")
	if c.headers, err = readHeaders(text); err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	c.http, err = newHTTP(get)
	return c, err
}

func newHTTP(get func(string) (string, string)) (*http.Client, error) {
	limit := defaultTime
	if text, from := get("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return nil, fmt.Errorf("%s %q: want milliseconds", from, text)
		}
		limit = time.Duration(ms) * time.Millisecond
	}
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		MaxIdleConns:      2,
		IdleConnTimeout:   time.Minute,
		ForceAttemptHTTP2: true,
	}
	if path, from := get("CERTIFICATE"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s holds no certificate", from, path)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Timeout: limit, Transport: transport}, nil
}

// readHeaders reads key=value,key=value with values in percent encoding. An
// error never shows a value, which may be a credential.
func readHeaders(text string) (http.Header, error) {
	h := http.Header{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || name == "" {
			return nil, errors.New("want name=value pairs, joined by commas, values in percent encoding")
		}
		h.Set(name, plain)
	}
	return h, nil
}

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. It returns no error: the SDK would
// give it to a handler that all of the process shares. TracesData is on the
// wire what an ExportTraceServiceRequest is.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	n := 0
	for _, r := range spans {
		for _, s := range r.GetScopeSpans() {
			n += len(s.GetSpans())
		}
	}
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err == nil {
		err = c.send(ctx, body)
	}
	if err != nil {
		c.lost(n, err)
		return nil
	}
	c.taken.Add(int64(n))
	c.failing.Store(false)
	return nil
}

func (c *client) lost(spans int, err error) {
	c.dropped.Add(int64(spans))
	if !c.failing.Swap(true) && c.failed != nil {
		c.failed(err)
	}
}

// send tries again where the collector says that it may help (OTLP, "Retryable
// Response Codes") or cannot be reached.
func (c *client) send(ctx context.Context, body []byte) error {
	wait := firstWait
	for try := 1; ; try++ {
		again, err := c.post(ctx, body)
		if err == nil || !again || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait *= 2
		}
	}
}

func (c *client) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	for name, values := range c.headers {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	res, err := c.http.Do(req)
	if err != nil {
		return true, fmt.Errorf("traces: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode/100 == 2 {
		return false, nil
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	return again, fmt.Errorf("traces: the collector answers %s", res.Status)
}
