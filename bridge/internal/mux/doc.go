// Package mux is one child with many clients: who asked what of it, and so to
// whom each of its lines belongs.
//
//	Conn  one child and its routing table
//	Link  one client's end of a Conn
//	Call  a request with an id, until its response
//	Guard is asked before any call reaches a child
//
// What it promises: a line of a child reaches the client that it belongs to,
// or nobody. A response goes to the link whose call carried the id; progress
// to the call that owns the token; a child's own request to the only client
// of the child, or on a shared child to the only one with calls in flight,
// else it is refused. What cannot be told apart is dropped and counted.
//
// Nothing here blocks the goroutine that reads a child: a reader that is too
// slow loses its stream, never the child its voice. The package must never
// know what starts a child, a session or HTTP.
package mux
