// Package signin gets tokens for one MCP server, starting from nothing: the
// server's metadata (RFC 9728), its authorization server's (RFC 8414, OpenID
// discovery), a registration (RFC 7591) or a client id metadata document, the
// code flow with PKCE or the device grant, refresh, and revocation.
//
// It promises that metadata are of the issuer they were asked for, that an
// answer to a sign-in is of that issuer (RFC 9207) and of this sign-in (state),
// that credentials are kept for the issuer which gave them, that of several
// processes one refreshes or signs in while the others wait, and that a token
// is never logged. It must never know a message of MCP.
package signin
