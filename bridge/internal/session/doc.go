// Package session holds the sessions of clients of the versions before
// 2026-07-28: whose each is, what it may have, and when it ends.
//
//	Table   all sessions, their bounds, and the sweep that ends what is over
//	Session a client's session: its owner, its streams and its link to a child
//	ID      what names a session: nginx, logs and the client each see their part
//
// It promises that only its owner finds a session, that a session ends with
// its login, its age or its idle time, that what is open in it ends with the token,
// and that a child which takes the place of one that ended is told what the last
// one was, be it that it crashed or that the session slept. It must never know
// HTTP.
package session
