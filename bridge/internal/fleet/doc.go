// Package fleet starts the children of the configured servers and supervises
// them.
//
//	Server  one configured command: starts children, backs off, knows its health
//	Pool    warm children that the bridge initialised itself, by identity or for all
//	spares  children started ahead, as many as are asked for
//	Turns   lets so many children start at once, each user in turn
//	Recall  remembers what initialize is answered, for sessions that begin asleep
//	Breaker remembers what failed, so that the next try comes later
//
// It promises that a server that cannot start is not tried without end, that
// no more children are warm than may be, and that Close leaves none. It must
// never know a session or HTTP.
package fleet
