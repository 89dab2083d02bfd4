// Package resource is the tree of protected resources, and the rules of each:
// which audience opens it, which scopes and which role it needs, how a
// challenge and the metadata name it.
//
// The gate is the root of the tree: /mcp, with the names /sse, /message and the
// bare origin. Under it stands each server, /servers/NAME/mcp, with the like
// names. What was made for the gate opens all that the policy allows its user;
// what was made for a server opens that server alone.
//
// The package is pure, and must never know a handler, a token or a session.
package resource

import (
	"net/url"
	"slices"
	"strings"
)

// Resource is what a request is for.
type Resource struct {
	Server string // "" for the gate
	Path   string // as metadata and challenges name it; "" where the request named nothing that is known
}

// names are the paths under the gate and under each server.
const (
	mcp     = "/mcp"
	sse     = "/sse"
	message = "/message"
	servers = "/servers/"
)

// of is the resource of an address below the public URL. Only an exact, known
// path names one, so nothing else of the address can reach a header, or pass for
// a server that it is not. /message is the other half of /sse: it is
// the stream that a client was given the address of.
func of(originalURI string) Resource {
	u, err := url.ParseRequestURI(originalURI)
	if err != nil || u.RawPath != "" {
		return Resource{}
	}
	server, name := "", u.Path
	if rest, ok := strings.CutPrefix(name, servers); ok {
		var found bool
		if server, name, found = strings.Cut(rest, "/"); !found || !plainName(server) {
			return Resource{}
		}
		name = "/" + name
	}
	switch name {
	case mcp, sse:
	case message:
		name = sse
	default:
		return Resource{}
	}
	return Resource{Server: server, Path: base(server) + name}
}

// BaseOK reports whether a gate may lie below a path: not where a gate above it
// has a resource or a page, for a token of the one would open the other.
func BaseOK(path string) bool {
	taken := []string{
		"mcp", "sse", "message", "servers", "login", "logout", "callback", "account", "auth", "health", "metrics",
		"backchannel-logout", "frontchannel-logout",
	}
	return !slices.ContainsFunc(strings.Split(path, "/"), func(name string) bool { return slices.Contains(taken, name) })
}

// announced is the resource of a path below the public URL: "", or what of knows.
func announced(path string) (Resource, bool) {
	if path == "" || path == "/" {
		return Resource{}, true
	}
	r := of(path)
	return r, r.Path == path
}

func base(server string) string {
	if server == "" {
		return ""
	}
	return servers + server
}

func plainName(name string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return name != "" && len(name) <= 64 && strings.Trim(name, plain) == "" && strings.Trim(name, ".") != ""
}
