package main

import (
	"io"
	"net/http"
	"testing"

	"gatehouse/test/freeport"
)

// TestProfilesAreServedWhereTheyAreAskedFor on the admin listener, and without
// the command line, which may hold a secret.
func TestProfilesAreServedWhereTheyAreAskedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want map[string]int
	}{
		"by default": {nil, map[string]int{"heap": 404, "goroutine": 404, "": 404}},
		"asked for":  {[]string{"--pprof"}, map[string]int{"heap": 200, "goroutine": 200, "": 200, "cmdline": 404}},
	} {
		t.Run(name, func(t *testing.T) {
			newRecord(t)
			admin := freeport.Addr(t)
			base := startBefore(t, "/proc/self/exe", append(tc.args, "--admin-listen", admin)...)
			for profile, want := range tc.want {
				if got := statusOf(t, "http://"+admin+"/debug/pprof/"+profile); got != want {
					t.Errorf("%q: %d, want %d", profile, got, want)
				}
			}
			if got := statusOf(t, base+"/debug/pprof/heap"); got != http.StatusNotFound {
				t.Errorf("the public listener: %d", got)
			}
		})
	}
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}
