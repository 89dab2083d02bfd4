// Package contract is all that nginx, authsvc and bridge share: the names of
// the headers between them, the identity of a caller, the signed assertion
// that carries it, and the message by which open streams learn that a session
// has ended.
//
// Every function is pure. The package must never know a transport, a store, a
// clock of its own or any other package of gatehouse.
package contract
