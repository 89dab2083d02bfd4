// Package stateless is the front of protocol version 2026-07-28 on /mcp: each
// POST is served by itself, from a warm child that the bridge made ready, and
// answered with one JSON object or with a stream that ends with the answer.
//
// It promises that a child of an older version serves too (package translate
// turns the messages), and that a call which waits for input goes on only for
// the identity that made it: states are random or sealed, bound to the caller
// and to the call, and end after a while.
//
// It must never know how a child is started, or another front.
package stateless
