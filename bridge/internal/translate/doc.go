// Package translate turns the messages of one protocol era into those of
// another: a request of 2026-07-28 into one that an older server knows, that
// server's answer back, its initialize result into the answer to
// server/discover, its own requests into an input_required result; and the
// other way round for an older client in front of a server that speaks only
// 2026-07-28.
//
// Every function is pure and edits bytes in place of decoding and encoding
// them, so that ids, numbers and fields that nobody here knows pass as they
// came. The package must never know a socket, a process, an identity or a
// clock.
package translate
