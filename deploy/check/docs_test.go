package main

import (
	"io"
	"strings"
	"testing"

	"gatehouse/test/reference"
)

// TestReference: docs/reference/tools.md is what the program prints of itself.
func TestReference(t *testing.T) {
	var said strings.Builder
	run(t.Context(), []string{"-h"}, io.Discard, &said)
	reference.Hold(t, "tools.md", "check", reference.Block(said.String()))
}
