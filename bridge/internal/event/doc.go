// Package event holds what waits for one reader.
//
//	Event   one message for a client
//	Queue   the events that wait for one reader, bounded in bytes
//	Streams the streams of one session that a client may come back to
//
// It promises that Push never blocks: a reader that is too slow loses its
// stream, and whoever pushes goes on. What a reader missed is kept within a
// bound of bytes. It must never know a call, a child or HTTP.
package event
