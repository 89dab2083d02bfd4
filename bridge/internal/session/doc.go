// Package session is the heart of the bridge: who asked what of which child,
// and so to whom each line of a child belongs.
//
//	Table   all sessions, their bounds, and the sweep that ends what is over
//	Session a client's session of the versions before 2026-07-28
//	Server  one configured command: starts children, backs off, knows its health
//	Pool    warm children that the bridge initialised itself, by identity or for all
//	Conn    one child and its routing table
//	Link    one client's end of a Conn
//	Call    a request with an id, until its response
//	Queue   what waits for one reader, bounded in bytes
//
// What it promises: a line of a child reaches the client that it belongs to,
// or nobody. A response goes to the link whose call carried the id; progress
// to the call that owns the token; a child's own request to the only client
// of the child, or on a shared child to the only one with calls in flight,
// else it is refused. What cannot be told apart is dropped and counted.
//
// Nothing here blocks the goroutine that reads a child: a reader that is too
// slow loses its stream, never the child its voice. The package must never
// know HTTP.
package session
