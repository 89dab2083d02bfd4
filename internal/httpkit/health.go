package httpkit

import (
	"context"
	"maps"
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
// that do not. Why one failed stands in the log, not in the answer. The parts of
// beside are named as well, and decide nothing.
func Ready(checks map[string]Check, beside ...map[string]Check) http.Handler {
	all := maps.Clone(checks)
	for _, more := range beside {
		maps.Copy(all, more)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		answer := readyAnswer{Status: "ready", Parts: make(map[string]string, len(all))}
		code := http.StatusOK
		for name, err := range runChecks(ctx, all) {
			answer.Parts[name] = "ok"
			if err != nil {
				answer.Parts[name] = "failed"
				if _, decides := checks[name]; decides {
					answer.Status, code = "not ready", http.StatusServiceUnavailable
				}
				Log(r.Context()).Warn().Err(err).Msg("a part is not ready: " + name)
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
