// Package telemetry counts what authsvc does beside its verdicts: how long the
// store takes, renewals, sign-ins and endings.
//
// It promises that nobody outside can make a new series: every label has a
// value of a list in this file. It must never know a token or a cookie.
package telemetry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/authsvc/internal/session"
)

// Metrics is the set. It is safe for concurrent use.
type Metrics struct {
	store     *prometheus.HistogramVec
	refreshes *prometheus.CounterVec
	logins    *prometheus.CounterVec
	endings   prometheus.Counter
}

// New registers the metrics, each series from the start: a rate over one that
// appears late would miss its first event.
func New(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "authsvc_store_duration_seconds", Help: "Time of one operation on the session store.",
			Buckets: []float64{0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1},
		}, []string{"operation", "result"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "authsvc_refreshes_total", Help: "Renewals of sessions at the provider.",
		}, []string{"result"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "authsvc_logins_total", Help: "Sign-ins that came back from the provider.",
		}, []string{"result"}),
		endings: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "authsvc_endings_total", Help: "Sessions and users of which this replica learned that they ended.",
		}),
	}
	reg.MustRegister(m.store, m.refreshes, m.logins, m.endings)
	for _, operation := range []string{"get", "put", "swap", "publish"} {
		m.store.WithLabelValues(operation, "ok")
		m.store.WithLabelValues(operation, "failed")
	}
	for _, result := range []string{"ok", "refused", "failed"} {
		m.refreshes.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "refused", "failed"} {
		m.logins.WithLabelValues(result)
	}
	return m
}

// Ended counts an ending; session.Endings calls it.
func (m *Metrics) Ended(string) { m.endings.Inc() }

// Login counts the answers of the callback: a redirect with a session, a no to
// what came, or a part that was out of reach.
func (m *Metrics) Login(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/callback" {
			next.ServeHTTP(w, r)
			return
		}
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)
		result := "ok"
		switch status := ww.Status(); {
		case status >= http.StatusInternalServerError:
			result = "failed"
		case status >= http.StatusBadRequest:
			result = "refused"
		}
		m.logins.WithLabelValues(result).Inc()
	})
}

// Refresher counts the renewals of another.
func (m *Metrics) Refresher(next session.Refresher) session.Refresher { return refresher{next, m} }

type refresher struct {
	next session.Refresher
	m    *Metrics
}

func (r refresher) Refresh(ctx context.Context, token string) (session.Grant, error) {
	grant, err := r.next.Refresh(ctx, token)
	result := "ok"
	switch {
	case errors.Is(err, session.ErrRefused):
		result = "refused"
	case err != nil:
		result = "failed"
	}
	r.m.refreshes.WithLabelValues(result).Inc()
	return grant, err
}

// Store times the operations of another.
func (m *Metrics) Store(next session.Store) session.Store { return store{next, m} }

type store struct {
	session.Store // Subscribe is no operation with an end
	m             *Metrics
}

func (s store) observe(operation string, start time.Time, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	s.m.store.WithLabelValues(operation, result).Observe(time.Since(start).Seconds())
}

func (s store) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	start := time.Now()
	values, err := s.Store.Get(ctx, keys...)
	s.observe("get", start, err)
	return values, err
}

func (s store) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	start := time.Now()
	err := s.Store.Put(ctx, key, value, ttl)
	s.observe("put", start, err)
	return err
}

func (s store) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	start := time.Now()
	ok, err := s.Store.Swap(ctx, key, old, new, ttl)
	s.observe("swap", start, err)
	return ok, err
}

func (s store) Publish(ctx context.Context, message []byte) error {
	start := time.Now()
	err := s.Store.Publish(ctx, message)
	s.observe("publish", start, err)
	return err
}
