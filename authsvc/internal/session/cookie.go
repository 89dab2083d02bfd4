package session

import "strings"

// CookieName carries the prefix that makes browsers insist on Secure, on
// Path=/ and on no Domain (RFC 6265bis, 4.1.3.2).
const CookieName = "__Host-gatehouse"

// CookieValue finds the session's cookie among Cookie headers of at most most
// bytes. Two values for the one name are none: someone planted one.
func CookieValue(headers []string, most int) (string, bool) {
	value, found := "", false
	for _, header := range headers {
		if most -= len(header); most < 0 {
			return "", false
		}
		for header != "" {
			var pair string
			pair, header, _ = strings.Cut(header, ";")
			v, ok := strings.CutPrefix(strings.TrimLeft(pair, " "), CookieName+"=")
			if !ok {
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
