package door

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// The names that every client and model takes (2025-11-25, server/tools, "Tool
// Names"; several have 64 as their bound, which is below the one there).
var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	unplain  = regexp.MustCompile(`[^A-Za-z0-9_.-]`)
	hashed   = regexp.MustCompile(`_[0-9a-f]{8}$`)
)

const maxName = 64

// outer is the name by which a tool or a prompt of the server is known outside:
// NAME__tool, or a shorter one with a hash where that is no good name or would
// be read as another server's.
func (d *Door) outer(s *Server, name string) (outer string, asIs bool) {
	whole := s.Name + d.Separator + name
	if nameForm.MatchString(whole) && !hashed.MatchString(whole) && d.prefixed(whole) == s {
		return whole, true
	}
	sum := sha256.Sum256([]byte(s.Name + "\x00" + name))
	hash := "_" + hex.EncodeToString(sum[:4])
	plain := unplain.ReplaceAllString(whole, "_")
	return plain[:min(len(plain), maxName-len(hash))] + hash, false
}

// prefixed is the server whose name and the separator a name begins with; of
// several the longest.
func (d *Door) prefixed(name string) (found *Server) {
	for _, s := range d.Servers() {
		if strings.HasPrefix(name, s.Name+d.Separator) && (found == nil || len(s.Name) > len(found.Name)) {
			found = s
		}
	}
	return found
}

// Split takes a name as it is known outside apart, as far as the name alone
// tells; the server is "" where it tells none of these.
func Split(name, separator string, servers []string) (server, inner string) {
	for _, s := range servers {
		if rest, ok := strings.CutPrefix(name, s+separator); ok && len(s) > len(server) {
			server, inner = s, rest
		}
	}
	return server, inner
}
