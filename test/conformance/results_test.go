package conformance_test

import (
	"os"
	"strings"
	"testing"

	"gatehouse/test/conformance"
)

func TestResults(t *testing.T) {
	got, err := conformance.Results(
		strings.NewReader(
			"✓ ping: 2 passed, 0 failed\n✗ caching: 1 passed, 7 failed\n✗ tasks: 0 passed, 1 failed\n" +
				"Not scored\n  ✗ tasks (extension)\n",
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !got["ping"] || got["caching"] {
		t.Errorf("results = %v", got)
	}
}

func TestBaselineNamesAReason(t *testing.T) {
	file, err := os.Open("baseline.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	known, err := conformance.Baseline(file)
	if err != nil || len(known) > 11 {
		t.Errorf("%d entries, %v; the baseline may only shrink", len(known), err)
	}
	if _, err := conformance.Baseline(strings.NewReader("older 2026-07-28 ping\n")); err == nil {
		t.Error("an entry without a reason passed")
	}
}
