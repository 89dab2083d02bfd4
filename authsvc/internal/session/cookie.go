package session

import "strings"

// CookieName begins the name of every cookie of a gate: the edge knows them by
// it. It carries the prefix that makes browsers insist on Secure, on Path=/ and
// on no Domain (RFC 6265bis, 4.1.3.2).
const CookieName = "__Host-gatehouse"

// Cookie names the one cookie that carries a session; "" is CookieName.
type Cookie string

// CookieBelow names the cookie of a gate below a path. Browsers send a host's
// cookies to all of its gates, so that each has a name of its own. __Host- with
// another name, and not __Secure- with the path: a path keeps no other page of
// the host out (RFC 6265, 8.5), and __Secure- lets a neighbouring host plant one.
func CookieBelow(path string) Cookie { return Cookie(CookieName + strings.ReplaceAll(path, "/", ".")) }

// Name is the name as it stands in a header.
func (c Cookie) Name() string {
	if c == "" {
		return CookieName
	}
	return string(c)
}

// Value finds the session's cookie among Cookie headers of at most most bytes.
// Two values for the one name are none: someone planted one.
func (c Cookie) Value(headers []string, most int) (string, bool) {
	name, value, found := c.Name(), "", false
	for _, header := range headers {
		if most -= len(header); most < 0 {
			return "", false
		}
		for header != "" {
			var pair string
			pair, header, _ = strings.Cut(header, ";")
			its, v, ok := strings.Cut(strings.TrimLeft(pair, " "), "=")
			if !ok || its != name {
				continue
			}
			if found {
				return "", false
			}
			value, found = v, true
		}
	}
	return value, found
}
