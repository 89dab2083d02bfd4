package answer

import (
	"net/http"
	"strings"
)

// IsJSON reports whether a Content-Type is that of JSON. Types compare without
// case (RFC 9110, section 8.3.1).
func IsJSON(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

// Accepts reports whether a client takes a media type, such as
// "application/json": by its name, or by a range (RFC 9110, section 12.5.1). A
// client that says nothing takes all.
func Accepts(h http.Header, kind string) bool {
	values := h.Values("Accept")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return true
	}
	family, _, _ := strings.Cut(kind, "/")
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			name, params, _ := strings.Cut(one, ";")
			name = strings.TrimSpace(name)
			named := name == "*/*" || strings.EqualFold(name, kind) || strings.EqualFold(name, family+"/*")
			if named && !refused(params) {
				return true
			}
		}
	}
	return false
}

// refused reports whether the parameters of a range hold a quality of 0.
func refused(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") && strings.Trim(value, "0.") == "" && value != "" {
			return true
		}
	}
	return false
}
