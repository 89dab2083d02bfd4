// Package cost holds the bridge to a cost that is linear: whatever a caller or
// a child sends costs it at most three times the CPU of a plain message of the
// same size. It sees the built program only.
package cost
