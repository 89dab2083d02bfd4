// Package check answers nginx's auth_request (Contract 1): who is calling, by
// the session cookie or by an access token, or why nobody is let in.
//
// The hot path is one hash and one look-up: a verdict is remembered, headers
// and assertion ready to send, for at most session.Recheck; after that its
// session or token is looked at again. Whatever cannot be decided is never a
// 2xx. An answer has no body: nginx would drop the connection after one.
//
// The package must never know how a session is stored or a token is verified.
package check
