package main

import (
	"strings"
	"testing"

	"gatehouse/bridge/internal/config"
)

// TestWhereChildrenAreStartedAhead: only where any of them does for whoever comes.
func TestWhereChildrenAreStartedAhead(t *testing.T) {
	two := 2
	for name, tc := range map[string]struct {
		identity string // --identity
		gate     config.Gate
		says     string
	}{
		"told nothing":            {"signed", config.Gate{Identity: "none"}, ""},
		"told nothing, of a user": {"signed", config.Gate{Identity: "none", Isolation: "user"}, ""},
		"all are one user":        {"none", config.Gate{}, ""},
		"each told its user":      {"signed", config.Gate{}, `works only with "identity": "none"`},
		"one for all":             {"signed", config.Gate{Identity: "none", Isolation: "shared"}, "is of no use"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.gate.Warm = &two
			f := flags{Identity: tc.identity, Isolation: "session"}
			err := f.cannot(config.Server{Key: "x", Gate: tc.gate})
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%v; want %q", err, tc.says)
			}
		})
	}
}
