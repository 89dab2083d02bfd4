// Package fronttest runs one front over real children and a real listener, for
// the tests of the fronts. Callers show signed assertions, so that identities
// are told apart as in the running gate.
//
// It promises that a gate that was started leaves no child, no goroutine and
// no connection. It must never know which front it runs.
package fronttest
