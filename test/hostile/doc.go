// Package hostile is a stdio server that tries to get at all that is not its
// own, and a test that prints what each try got, in the box of the bridge and
// without it.
//
// A try that gets nothing without the box shows nothing about the box: those
// that must get something there are marked.
package hostile
