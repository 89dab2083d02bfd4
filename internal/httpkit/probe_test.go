package httpkit_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"gatehouse/internal/httpkit"
)

func TestProbe(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/not", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.Handle("/elsewhere", http.RedirectHandler("/ready", http.StatusFound))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for path, healthy := range map[string]bool{"/ready": true, "/not": false, "/elsewhere": false} {
		if err := httpkit.Probe(t.Context(), srv.URL+path); (err == nil) != healthy {
			t.Errorf("%s: %v, want healthy %v", path, err, healthy)
		}
	}
	srv.Close()
	if httpkit.Probe(t.Context(), srv.URL+"/ready") == nil {
		t.Error("nobody listens, and the probe is content")
	}
}
