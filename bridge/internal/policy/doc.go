// Package policy decides who may see and call which tool, prompt and resource
// of an MCP server.
//
// A policy is a list of named rules and a default. A rule covers the items
// that its globs match. Of the rules that cover an item:
//
//  1. one with deny: true that holds refuses, whatever else is said;
//  2. else the first rule that holds grants, and its limit counts;
//  3. else the item is refused, by the first rule that covers it, or with the
//     scopes that would cure it where nothing but a scope is missing.
//
// The default, deny or allow, is only for what no rule covers. What cannot be
// decided (an expression that fails, arguments with a key twice) is refused.
//
// The package is pure: it must never know a file, a socket, a clock of its own
// or how a refusal is told to a client. Loading and reloading is the caller's.
package policy
