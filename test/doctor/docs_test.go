package main

import (
	"testing"

	"gatehouse/test/reference"
)

// TestReference: docs/reference/tools.md is what the program prints of itself.
func TestReference(t *testing.T) {
	reference.Hold(t, "tools.md", "doctor", reference.Block(reference.Said(t, func() { _, _ = parse([]string{"-h"}) })))
}
