// Package servers runs real MCP servers behind the built bridge, in each era,
// driven by the client of the Go SDK. `make servers-test` installs them.
package servers
