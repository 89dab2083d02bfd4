// Package session keeps the sessions of people who signed in with a browser:
// it makes their secrets, seals what is stored under them, renews their tokens
// under a lease, and makes their ending known to every replica.
//
// A Store only moves bytes. Its keys are hashes, and a session's value is
// sealed with a key derived from the cookie and the store's own key, so a dump of
// the store opens no session and yields no token, not even beside the store's key.
// What must be readable without the cookie (the list of a user's sessions, for
// their page and for logout by the provider) is sealed with a key derived from the
// store's own key and holds no token. A new one ends all sessions: under it the
// lists by which they could be ended are not found.
//
// The package must never know HTTP, Redis or OpenID Connect: it is handed a
// Store and a Refresher.
package session
