package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
	"gatehouse/internal/tracing"
)

const lastSpans = 5 * time.Second // to send them at the end

func (s *service) openTracer() (err error) {
	s.tracer, err = tracing.Open(
		context.Background(),
		"authsvc",
		os.Getenv,
		func(err error) { s.log.Warn().Err(err).Msg("spans are lost") },
	)
	sent, lost := s.tracer.Counts()
	httpkit.CountSpans(s.reg, sent, lost)
	return err
}

func (s *service) closeTracer() {
	ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
	defer cancel()
	s.tracer.Close(ctx)
}

// traced makes a span of each verdict; without tracing it is the handler
// itself. The true status may hide behind a 401 (the first contract).
func (s *service) traced(verdicts http.Handler) http.Handler {
	return s.tracer.Serve("/auth", verdicts, func(h http.Header) []tracing.Attr {
		return []tracing.Attr{{Key: "gatehouse.auth_status", Value: h.Get(contract.HeaderAuthStatus)}}
	})
}
