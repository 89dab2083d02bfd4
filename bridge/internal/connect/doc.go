// Package connect is the other end of the bridge: stdio on this side, an MCP
// server behind HTTP of any era on that side (HTTP+SSE of 2024-11-05,
// Streamable HTTP of 2025-03-26 to 2025-11-25, 2026-07-28).
//
// It promises that every message passes both ways as it came; that a broken
// line is resumed where the server lets it, and a session that is over is
// opened anew, with what the client had said in it; that a call which may have
// run is never sent again, but answered with an error that says so; and that a
// token goes to the server's own origin and nowhere else.
//
// Package translate stands between a client of the older eras and a server of
// 2026-07-28 alone. Package signin gets the tokens. This package must never know
// a session of the bridge, a policy, or how a token is got.
package connect
