// Package config reads the {"mcpServers": {...}} file that desktop clients
// already have, and says what each server of it is to be started with.
//
// A fault in one entry is that entry's alone: it is kept with the reason, and
// the others are served. Other clients' keys are ignored and named; a key that
// looks like one of ours misspelt is a fault.
//
// It must never start anything, nor know HTTP.
package config
