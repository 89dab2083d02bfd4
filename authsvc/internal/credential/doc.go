// Package credential keeps and gets each user's own credentials for the servers
// behind the gate, so that a server acts as its user and as nobody else.
//
//	entered   the user gives a secret once; it lies sealed in the store
//	oauth     a provider of its own: code flow with PKCE, refreshed under a lease
//	exchange  the token of the login, exchanged at the identity provider (RFC 8693)
//	linked    the token that the identity provider holds of an account linked there
//
// What is stored is sealed with the store's key under a name that is made of
// its user and its entry: a dump opens nothing, and a value that is moved to
// another user's name does not open either. No secret goes into a log, the
// audit or an error.
//
// The package must never know a handler, a cookie or a message of MCP.
package credential
