package session

import (
	"crypto/rand"
	"encoding/base32"
	"regexp"
	"strings"
)

// ID names a session: nginx routes on the node, logs show the public part, and
// only the client holds the secret.
type ID struct{ Node, Public, Secret string }

const publicLen = 8

var (
	idPattern   = regexp.MustCompile(`^(?:([a-z0-9-]{1,32})\.)?([a-z2-7]{8})\.([a-z2-7]{26,52})$`)
	idEncoding  = base32.StdEncoding.WithPadding(base32.NoPadding)
	nodePattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

// ValidNode reports whether name can stand in a session id.
func ValidNode(name string) bool { return name == "" || nodePattern.MatchString(name) }

// NewID makes an id whose secret has 160 random bits.
func NewID(node string) ID {
	var b [25]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	text := strings.ToLower(idEncoding.EncodeToString(b[:]))
	return ID{Node: node, Public: text[:publicLen], Secret: text[publicLen:]}
}

// ParseID reads an id from the wire.
func ParseID(s string) (ID, bool) {
	if len(s) > 96 {
		return ID{}, false
	}
	m := idPattern.FindStringSubmatch(s)
	if m == nil {
		return ID{}, false
	}
	return ID{Node: m[1], Public: m[2], Secret: m[3]}, true
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
