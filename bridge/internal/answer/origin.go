package answer

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/bridge/internal/rpc"
)

// Origins refuses requests of pages that have no business here, and, where the
// bridge listens on this machine alone, those whose Host is another name: a
// name that points to 127.0.0.1 is how a page reaches a local server (DNS
// rebinding; 2025-11-25, transports, security warning).
type Origins struct {
	Allowed   []string // whole origins, "https://app.example.com"
	LocalOnly bool     // the listener is loopback: Host must be a local name
	Hosts     []string // further names that Host may have
}

// Wrap is the middleware.
func (o Origins) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.LocalOnly && !o.host(r.Host) {
			Refuse(w, http.StatusForbidden, rpc.CodeInvalidRequest, "Host is not a name of this server")
			return
		}
		if origins := r.Header.Values("Origin"); len(origins) > 1 || len(origins) == 1 && !o.origin(origins[0]) {
			Refuse(w, http.StatusForbidden, rpc.CodeInvalidRequest, "Origin is not allowed")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (o Origins) origin(origin string) bool {
	for _, allowed := range o.Allowed {
		if strings.EqualFold(origin, allowed) {
			return true
		}
	}
	u, err := url.Parse(origin)
	return err == nil && o.LocalOnly && local(u.Hostname())
}

func (o Origins) host(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	for _, allowed := range o.Hosts {
		if strings.EqualFold(name, allowed) {
			return true
		}
	}
	return local(strings.Trim(name, "[]"))
}

func local(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}
