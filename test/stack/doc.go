// Package stack starts the whole gate natively: Redis, Keycloak with the
// realm, authsvc, bridge with the demo server, and nginx from the repository's
// own files, everything on loopback. `make run` and the end-to-end tests share
// it.
//
// It must never know what the programs do inside: it starts what an operator
// would start, and waits for what an operator would see.
package stack
