// Package httpkit is the plumbing under both programs: handlers that return
// errors, a middleware chain, request ids, the access log, health, listeners,
// draining, loggers and metric registries.
//
// It must never know a word of the product: no identity, no session, no MCP.
package httpkit
