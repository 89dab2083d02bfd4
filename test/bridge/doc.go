// Package bridge holds the bridge, built and run as a program of its own,
// to what it promises when a child, a client or the bridge itself fails, and at
// each of its bounds. It promises to look from outside alone: HTTP, exit codes
// and /proc.
package bridge
