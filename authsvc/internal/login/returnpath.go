package login

import (
	"errors"
	"net/url"
	"path"
	"strings"
)

const (
	returnParam = "return_to="
	maxReturn   = 2048
	defaultBack = "/account"
)

// errReturn says that a way back does not stay at this gate.
var errReturn = errors.New("the way back is not a path of this gate")

// ReturnPath reads the way back from a raw query. nginx cannot escape, so all
// after return_to= is the way back as the browser asked for it; a value that
// begins with an escaped slash was escaped whole. It must be a path of this
// site: one leading slash, no backslash, no control byte, also when unescaped;
// and of this gate: below base, which is "" where it has a host of its own.
func ReturnPath(base, rawQuery string) (string, error) {
	value, ok := strings.CutPrefix(rawQuery, returnParam)
	if !ok || value == "" {
		return base + defaultBack, nil
	}
	if len(value) > maxReturn {
		return "", errReturn
	}
	if strings.HasPrefix(strings.ToLower(value), "%2f") {
		plain, err := url.QueryUnescape(value)
		if err != nil {
			return "", errReturn
		}
		value = plain
	}
	if !localPath(value) {
		return "", errReturn
	}
	u, err := url.Parse(value)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !localPath(u.Path) {
		return "", errReturn
	}
	if clean := path.Clean(u.Path); clean != base && !strings.HasPrefix(clean, base+"/") {
		return "", errReturn
	}
	return u.EscapedPath() + query(u), nil
}

func query(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return "?" + u.RawQuery
}

// localPath refuses what browsers read as another host: "//", "/\", and the
// same behind bytes that they drop.
func localPath(p string) bool {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || strings.Contains(p, `\`) {
		return false
	}
	for i := 0; i < len(p); i++ {
		if p[i] < 0x20 || p[i] == 0x7f {
			return false
		}
	}
	return true
}
