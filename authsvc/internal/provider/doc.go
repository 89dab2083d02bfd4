// Package provider speaks with the identity provider: discovery, the code flow,
// refresh, logout, and the checks of ID tokens, access tokens, logout tokens
// and DPoP proofs.
//
// Every call to the provider has a deadline, and no stranger can make it call:
// the key set fetches at most once in an interval, however many tokens with
// unknown keys arrive. It must never know a handler, a cookie or a store.
package provider
