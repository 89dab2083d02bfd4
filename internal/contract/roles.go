package contract

import (
	"fmt"
	"net/url"
	"strings"
)

// EncodeRoles is the list as HeaderUserRoles and a child's environment carry
// it: the roles joined by a comma, in each of them every byte but a letter, a
// digit or a plain sign percent-encoded (RFC 3986, 2.1). So a role may hold a
// comma, a space or any script, and the text is plain to nginx, Lua and the
// log. Who reads it splits at the commas, then decodes each part.
func EncodeRoles(roles []string) string {
	var b strings.Builder
	for i, role := range roles {
		if i > 0 {
			b.WriteByte(',')
		}
		encodeRole(&b, role)
	}
	return b.String()
}

func encodeRole(b *strings.Builder, role string) {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(role); i++ {
		if c := role[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
}

// plain bytes stand for themselves: those that can be seen, but for the two
// that the list itself needs, and the two that would end a quoted text.
func plain(c byte) bool {
	return c > 0x20 && c < 0x7f && c != ',' && c != '%' && c != '"' && c != '\\'
}

// DecodeRoles reads what EncodeRoles wrote.
func DecodeRoles(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	roles := strings.Split(text, ",")
	for i, part := range roles {
		role, err := url.PathUnescape(part)
		if err != nil || role == "" {
			return nil, fmt.Errorf("%w: roles hold %q, which is empty or not percent-encoded", ErrIdentity, part)
		}
		roles[i] = role
	}
	return roles, nil
}
