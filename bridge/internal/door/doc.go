// Package door is one server made of all those of a configuration: what its
// tools and prompts are called, its merged lists, and which server a message is
// for. A client of an older version has a Hub, with an inner session for each
// server; a call of 2026-07-28 stands alone, and its front asks the Door alone.
//
// What it promises: only what a server itself lists, or said that it owns, is
// asked of it; a server that its caller may not use is not there; a server that
// hangs or does not start costs its own entries and a line of the log. It must
// never know HTTP, an era's way to a child, or what a tool takes.
package door
