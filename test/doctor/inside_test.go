package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The doctor names what authsvc lacks, and the file to look into.
func TestInsideAuthsvc(t *testing.T) {
	answer, status := `{"status":"ready","parts":{"client":"ok","store":"ok"}}`, http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health/ready/browsers" {
			t.Errorf("asked %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	g := &gate{authsvc: server.URL, client: server.Client()}
	if err := insideAuthsvc(t.Context(), g); err != nil {
		t.Error(err)
	}
	answer, status = `{"status":"not ready","parts":{"client":"failed","store":"ok"}}`, http.StatusServiceUnavailable
	err := insideAuthsvc(t.Context(), g)
	if err == nil || !strings.Contains(err.Error(), "credentials/client-secret") ||
		strings.Contains(err.Error(), "redis") {
		t.Errorf("with a wrong client secret: %v", err)
	}
}
