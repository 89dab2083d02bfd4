package session

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// ID names a session: nginx routes on the node, logs show the public part, and
// only the client holds the secret.
type ID struct{ Node, Public, Secret string }

const publicLen = 8

const (
	minSecret = 26 // 130 bits
	maxSecret = 52
	maxNode   = 32
)

var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// ValidNode reports whether name can stand in a session id.
func ValidNode(name string) bool { return name == "" || len(name) <= maxNode && all(name, nodeChar) }

func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

func nodeChar(c byte) bool   { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' }
func base32Char(c byte) bool { return c >= 'a' && c <= 'z' || c >= '2' && c <= '7' }

// NewID makes an id whose secret has 160 random bits.
func NewID(node string) ID {
	var b [25]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	text := strings.ToLower(idEncoding.EncodeToString(b[:]))
	return ID{Node: node, Public: text[:publicLen], Secret: text[publicLen:]}
}

// ParseID reads an id from the wire: [NODE.]PUBLIC.SECRET.
func ParseID(s string) (ID, bool) {
	rest, secret, ok := cutLast(s)
	node, public, named := cutLast(rest)
	if !named {
		public = rest
	}
	if !ok || named && (node == "" || !ValidNode(node)) {
		return ID{}, false
	}
	if len(public) != publicLen || len(secret) < minSecret || len(secret) > maxSecret ||
		!all(public, base32Char) || !all(secret, base32Char) {
		return ID{}, false
	}
	return ID{Node: node, Public: public, Secret: secret}, true
}

// cutLast cuts s around its last dot.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// String is the id on the wire. It is a secret: logs take Label.
func (id ID) String() string { return id.Label() + "." + id.Secret }

// Label is the part that logs may show.
func (id ID) Label() string {
	if id.Node == "" {
		return id.Public
	}
	return id.Node + "." + id.Public
}
