package signin

import (
	"net/http"
	"strings"
)

// challenge is what a 401 or a 403 says about the token that it wants.
type challenge struct {
	metadata string // resource_metadata (RFC 9728, section 5.1)
	scopes   []string
	failure  string // error
}

// readChallenge finds the first challenge for a bearer token (RFC 9110,
// section 11.6.1; RFC 6750, section 3).
func readChallenge(h http.Header) challenge {
	var found challenge
	for _, value := range h.Values("WWW-Authenticate") {
		for _, c := range challenges(value) {
			if !strings.EqualFold(c.scheme, "bearer") && !strings.EqualFold(c.scheme, "dpop") {
				continue
			}
			if found.metadata == "" {
				found.metadata = c.params["resource_metadata"]
			}
			if len(found.scopes) == 0 {
				found.scopes = strings.Fields(c.params["scope"])
			}
			if found.failure == "" {
				found.failure = c.params["error"]
			}
		}
	}
	return found
}

type scheme struct {
	scheme string
	params map[string]string
}

// challenges reads a list of challenges. What cannot be read is passed over: it
// names nothing that we look for.
func challenges(s string) []scheme {
	var list []scheme
	for {
		s = strings.TrimLeft(s, " \t,=\"") // a stray = is the padding of a token68
		name, rest := token(s)
		if name == "" {
			return list
		}
		after := strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(after, "=") {
			list = append(list, scheme{scheme: name, params: map[string]string{}})
			s = rest
			continue
		}
		value, rest := value(strings.TrimLeft(after[1:], " \t"))
		if n := len(list); n > 0 {
			if key := strings.ToLower(name); list[n-1].params[key] == "" {
				list[n-1].params[key] = value
			}
		}
		s = rest
	}
}

func token(s string) (name, rest string) {
	end := strings.IndexFunc(s, func(c rune) bool { return strings.ContainsRune(" \t,=\"", c) })
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

func value(s string) (text, rest string) {
	if !strings.HasPrefix(s, `"`) {
		return token(s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
