package main

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/httpkit"
)

// RFC 9110, 5.1 and 5.5.
var (
	headerName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	headerValue = regexp.MustCompile(`^[\t\x20-\x7e\x80-\x{10ffff}]*$`)
)

// headers are those of --header. NAME=VALUE is taken as well, where no colon
// comes first.
func (f *flags) headers() (http.Header, error) {
	out := http.Header{}
	for _, line := range f.Header {
		at := strings.IndexAny(line, ":=")
		if at < 0 {
			return nil, fmt.Errorf(`--header %q: write "NAME: VALUE"`, line)
		}
		name, value := strings.TrimSpace(line[:at]), strings.TrimSpace(line[at+1:])
		if !headerName.MatchString(name) || !headerValue.MatchString(value) {
			return nil, fmt.Errorf(`--header %q is no header of HTTP; write "NAME: VALUE"`, line)
		}
		if ownHeader(http.CanonicalHeaderKey(name)) {
			return nil, fmt.Errorf("--header %s: the bridge sets it itself; leave it out", name)
		}
		out.Add(name, value)
	}
	return out, nil
}

// ownHeader names what would break an answer if it were set on each.
func ownHeader(name string) bool {
	return strings.HasPrefix(name, "Mcp-") || slices.Contains([]string{
		"Allow", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Keep-Alive", "Retry-After",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Www-Authenticate",
	}, name)
}

// withHeaders sets them on every answer.
func withHeaders(extra http.Header) httpkit.Middleware {
	return func(next http.Handler) http.Handler {
		if len(extra) == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name, values := range extra {
				w.Header()[name] = slices.Clone(values)
			}
			next.ServeHTTP(w, r)
		})
	}
}
