//go:build !linux

package child

import "io"

// Guardian does nothing here. On Windows the job objects do its work; macOS has
// no way to find what a child started elsewhere.
type Guardian struct {
	Mark string // always empty
}

// StartGuardian starts nothing.
func StartGuardian() (*Guardian, error) { return &Guardian{}, nil }

// Remove leaves the folder where it is.
func (g *Guardian) Remove(string) {}

// Close has nothing to end.
func (g *Guardian) Close() {}

// Guard is never called: nothing starts the guardian.
func Guard(io.Reader, string) {}
