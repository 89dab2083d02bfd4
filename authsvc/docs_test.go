package main

import (
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/test/reference"
)

var sections = []reference.Section{
	{Title: "Where it listens", First: "listen"},
	{Title: "The provider", First: "issuer"},
	{Title: "What the provider's tokens mean", First: "provider"},
	{Title: "Who may come in", First: "trust-issuer"},
	{Title: "The store", First: "redis-url"},
	{Title: "Sessions", First: "session-age"},
	{Title: "Keycloak and the audit log", First: "keycloak-admin"},
	{Title: "The process", First: "remember"},
}

// TestReference: docs/reference/authsvc.md is what the program says of itself.
func TestReference(t *testing.T) {
	var cfg config
	parser, err := kong.New(&cfg, kong.Name("authsvc"), kong.DefaultEnvars("AUTHSVC"))
	if err != nil {
		t.Fatal(err)
	}
	good := []string{
		"--public-url=https://gate.example.com", "--issuer=https://sso.example.com", "--client-id=c",
		"--client-secret=s", "--allow-any-user",
	}
	program := reference.Program{Flags: parser.Model.Flags, Sections: sections, Says: func(args ...string) string {
		_, _, err := parse(append(args, good...), io.Discard, io.Discard)
		if err == nil {
			return ""
		}
		return err.Error()
	}}
	reference.Hold(t, "authsvc.md", "flags", program.Tables(t))
	var usage strings.Builder
	keyNew([]string{"-h"}, io.Discard, &usage)
	reference.Hold(t, "authsvc.md", "key new", reference.Block(usage.String()))
}

// TestMetricsReference: docs/reference/metrics.md has what the program registers.
func TestMetricsReference(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1") // spans are counted too
	g := start(t, issuertest.Start(t), inMemory).ready()
	reference.Hold(t, "metrics.md", "authsvc", reference.MetricTable(t, g.svc.reg))
}
