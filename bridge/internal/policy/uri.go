package policy

import (
	"slices"
	"strings"
)

// disguised reports whether a server could resolve the URI to another one than
// its text says, and so past a glob: dot segments, plain or encoded, and
// backslashes (RFC 3986, 5.2.4 and 6.2.2).
func disguised(uri string) bool {
	if strings.ContainsAny(uri, "\\\x00") {
		return true
	}
	lower := strings.ToLower(uri)
	for _, encoded := range []string{"%2e", "%2f", "%5c", "%25", "%00"} {
		if strings.Contains(lower, encoded) {
			return true
		}
	}
	for segment := range strings.SplitSeq(pathOf(uri), "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// misspelt reports whether the URI has a shorter spelling that many a server
// takes for the same: an empty segment inside its path, an encoded character
// that needs no encoding (RFC 3986, 6.2.2.2), or what a parser of URLs drops
// (tabs, ends of lines, spaces around it). An empty segment may be meant, as in
// x://y/http://z, which nobody but the server can tell.
func misspelt(uri string) bool {
	if strings.Contains(pathOf(uri), "//") || strings.Trim(uri, " ") != uri {
		return true
	}
	for i := range len(uri) {
		if uri[i] < ' ' || uri[i] == 0x7f {
			return true
		}
		if b, ok := encoded(uri, i); ok && unreserved(b) {
			return true
		}
	}
	return false
}

// guards reports whether a rule speaks of resources of the server: where none
// does, every spelling of a URI has the same answer.
func (p *Policy) guards(server string) bool {
	return slices.ContainsFunc(p.rules, func(r *rule) bool {
		return r.names[Resource] != nil && (r.servers == nil || r.servers.match(server))
	})
}

// pathOf is what stands behind the authority. The query of a file is none: many
// a server cuts file:// off and opens the rest.
func pathOf(uri string) string {
	scheme, rest := splitScheme(uri)
	if scheme != "" && strings.HasPrefix(rest, "//") {
		rest = rest[2+authorityLen(rest[2:]):]
	}
	if strings.EqualFold(scheme, "file") {
		return rest
	}
	path, _, _ := strings.Cut(rest, "?")
	return path
}

// splitScheme cuts the scheme off, without its colon (RFC 3986, section 3.1).
func splitScheme(uri string) (scheme, rest string) {
	for i := range len(uri) {
		switch b := uri[i]; {
		case b == ':' && i > 0:
			return uri[:i], uri[i+1:]
		case letter(b) || i > 0 && (digit(b) || b == '+' || b == '-' || b == '.'):
		default:
			return "", uri
		}
	}
	return "", uri
}

func authorityLen(s string) int {
	if end := strings.IndexAny(s, "/?#"); end >= 0 {
		return end
	}
	return len(s)
}

// spellings are the forms of a URI that globs are held against: as the client
// wrote it, but decoded, and with scheme and host as all write them. A glob
// that begins with a star may mean a host's letters as the client wrote them.
func spellings(uri string) (written, common string) {
	written = strings.ReplaceAll(decoded(uri), "*", star)
	return written, commonOrigin(written)
}

// star is how an asterisk is written that is none of a glob's.
const star = "%2A"

// spelledGlob is the pattern as spellings writes the names that it matches, up
// to its first star: behind it nobody knows where a host ends.
func spelledGlob(pattern string) string {
	pattern = decoded(pattern)
	first := strings.IndexByte(pattern, '*')
	if first < 0 {
		return commonOrigin(pattern)
	}
	return commonOrigin(pattern[:first]) + pattern[first:]
}

// decoded takes the encoding off every character but the star, so that a%28
// and a( are one.
func decoded(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		b, ok := encoded(s, i)
		switch {
		case !ok:
			out = append(out, s[i])
			continue
		case b == '*':
			out = append(out, star...)
		default:
			out = append(out, b)
		}
		i += 2
	}
	return string(out)
}

// commonOrigin writes what stands before the path in lower case, and file:/x
// and file://localhost/x as file:///x (RFC 8089, section 2 and appendix B).
func commonOrigin(uri string) string {
	scheme, rest := splitScheme(uri)
	if scheme == "" {
		return uri
	}
	scheme = strings.ToLower(scheme)
	if !strings.HasPrefix(rest, "//") {
		if scheme == "file" && strings.HasPrefix(rest, "/") {
			rest = "//" + rest
		}
		return joined(uri, scheme, rest)
	}
	end := 2 + authorityLen(rest[2:])
	user := 2 + strings.LastIndexByte(rest[2:end], '@') + 1 // whose name has its case
	host := strings.ToLower(rest[user:end])
	if scheme == "file" && host == "localhost" && end < len(rest) {
		host = ""
	}
	return joined(uri, scheme, rest[:user]+host+rest[end:])
}

// joined keeps the URI where it is the same: most are, and cost nothing.
func joined(uri, scheme, rest string) string {
	if len(uri) == len(scheme)+1+len(rest) && strings.HasPrefix(uri, scheme) && strings.HasSuffix(uri, rest) {
		return uri
	}
	return scheme + ":" + rest
}

// encoded is the byte that %XX at i stands for.
func encoded(s string, i int) (byte, bool) {
	if s[i] != '%' || i+2 >= len(s) {
		return 0, false
	}
	high, ok := hex(s[i+1])
	low, also := hex(s[i+2])
	return high<<4 | low, ok && also
}

func hex(b byte) (byte, bool) {
	switch {
	case digit(b):
		return b - '0', true
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10, true
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}

func letter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

func digit(b byte) bool { return b >= '0' && b <= '9' }

// unreserved is a character that means the same encoded (RFC 3986, section 2.3).
func unreserved(b byte) bool {
	return letter(b) || digit(b) || b == '-' || b == '.' || b == '_' || b == '~'
}
