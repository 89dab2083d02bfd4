package login

import (
	"errors"
	"net/url"
	"strings"
)

const (
	returnParam = "return_to="
	maxReturn   = 2048
	defaultBack = "/account"
)

// errReturn says that a way back does not stay on this site.
var errReturn = errors.New("the way back is not a path of this site")

// ReturnPath reads the way back from a raw query. nginx cannot escape, so all
// after return_to= is the way back as the browser asked for it; a value that
// begins with an escaped slash was escaped whole. It must be a path of this
// site: one leading slash, no backslash, no control byte, also when unescaped.
func ReturnPath(rawQuery string) (string, error) {
	value, ok := strings.CutPrefix(rawQuery, returnParam)
	if !ok || value == "" {
		return defaultBack, nil
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
