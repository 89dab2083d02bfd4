// Package conformance runs the official MCP conformance suite against the
// bridge: the scenarios that 2025-11-25 and 2026-07-28 require, each in front
// of a child of both eras and of a child of the older era only, on one
// endpoint; each of the two again at the endpoint of both, with its names
// mapped on their way; and against `bridge connect`, the scenarios of a client.
// `make conformance` installs the suite and starts it.
//
// baseline.txt names what cannot pass, and why. It may only shrink: a scenario
// in it that passes fails the run as much as one outside it that does not.
package conformance
