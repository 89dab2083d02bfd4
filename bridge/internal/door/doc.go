// Package door makes one MCP server of all those of a configuration that a
// caller may use: their tools and prompts under NAME__tool, their resources
// under their own URIs, their lists in one.
//
// To a client's session it looks like a child that speaks up to 2025-11-25, so
// every front and every era serves it as it serves any server. To each server it
// is one client more: for each session in front it opens a session of the same
// owner behind, when it is first needed. So nothing of one session can reach
// another, and the policy, the limits and the audit see each call under its
// server's own name.
//
// The package must never know HTTP, nor how a child is started.
package door
