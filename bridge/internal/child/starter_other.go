//go:build !linux

package child

// run starts every child from any thread.
func (s *Starter) run() { s.serve() }
