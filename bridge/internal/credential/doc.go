// Package credential lends each child its user's own credential: it fetches it
// from authsvc for the assertion that the user showed, lays it into a folder of
// that child alone or into its environment, renews it, and takes it back.
//
// It promises that a credential is never an argument, never in a log, never
// with another user's child nor with one that users share, and that nothing of
// it is left on disk when its child, its login or the bridge has ended. It must
// never know HTTP of a front, nor how a credential comes about.
package credential
