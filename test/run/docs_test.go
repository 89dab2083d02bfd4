package main

import (
	"io"
	"testing"

	"gatehouse/test/reference"
)

// TestReference: docs/reference/tools.md is what the program prints of itself.
func TestReference(t *testing.T) {
	reference.Hold(t, "tools.md", "run", reference.Block(reference.Said(t, func() { _, _ = options([]string{"-h"}) })))
	reference.Hold(t, "tools.md", "user", reference.Block(reference.Said(t, func() {
		_ = addUser(t.Context(), []string{"-h"}, io.Discard)
	})))
}
