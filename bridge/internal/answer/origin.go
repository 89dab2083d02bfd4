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
	CORS      bool     // no proxy in front tells browsers what a page may do
}

// Wrap is the middleware.
func (o Origins) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.LocalOnly && !o.host(r.Host) {
			Refuse(w, http.StatusForbidden, rpc.CodeInvalidRequest, "Host is not a name of this server")
			return
		}
		origins := r.Header.Values("Origin")
		if len(origins) > 1 || len(origins) == 1 && !o.origin(origins[0]) {
			Refuse(w, http.StatusForbidden, rpc.CodeInvalidRequest, "Origin is not allowed")
			return
		}
		if o.CORS && len(origins) == 1 && allow(w, r, origins[0]) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allow tells a browser that the page may call (Fetch, section 3.3). A
// preflight is answered with that alone.
func allow(w http.ResponseWriter, r *http.Request, origin string) (preflight bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After")
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" { // Mcp-Param-* have any name
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
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
