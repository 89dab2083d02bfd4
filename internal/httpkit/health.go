package httpkit

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Check reports nil when a part that the program needs is within reach.
type Check func(ctx context.Context) error

const checkTimeout = time.Second

// Live answers 200 as long as the process answers at all.
func Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, map[string]string{"status": "live"})
	})
}

// Ready answers 200 when every check passes, else 503 with the names of those
// that do not. Why one failed stands in the log, not in the answer.
func Ready(checks map[string]Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		answer := readyAnswer{Status: "ready", Parts: make(map[string]string, len(checks))}
		code := http.StatusOK
		for name, err := range runChecks(ctx, checks) {
			answer.Parts[name] = "ok"
			if err != nil {
				Log(r.Context()).Warn().Err(err).Str("part", name).Msg("not ready")
				answer.Parts[name], answer.Status = "failed", "not ready"
				code = http.StatusServiceUnavailable
			}
		}
		WriteJSON(w, code, answer)
	})
}

type readyAnswer struct {
	Status string            `json:"status"`
	Parts  map[string]string `json:"parts"`
}

func runChecks(ctx context.Context, checks map[string]Check) map[string]error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	results := make(map[string]error, len(checks))
	for name, check := range checks {
		wg.Go(func() {
			err := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
		})
	}
	wg.Wait()
	return results
}
