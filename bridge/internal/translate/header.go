package translate

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Request headers of 2026-07-28 (basic/transports/streamable-http, "Request
// Metadata").
const (
	HeaderVersion = "Mcp-Protocol-Version"
	HeaderMethod  = "Mcp-Method"
	HeaderName    = "Mcp-Name"
	headerParam   = "Mcp-Param-"
)

// CheckVersion compares the version header with _meta, and both with what is
// served. A header that is missing or differs is a mismatch even where the
// version is unknown: a node in front may have routed on it.
func (r *Request) CheckVersion(h http.Header) *Error {
	if err := checkHeader(h, HeaderVersion, r.Version, false); err != nil {
		return err
	}
	if r.Version != Modern {
		return unsupportedVersion(r.Version)
	}
	return nil
}

// CheckHeaders compares Mcp-Method and Mcp-Name with the body.
func (r *Request) CheckHeaders(h http.Header) *Error {
	if err := checkHeader(h, HeaderMethod, r.Method, false); err != nil {
		return err
	}
	var source string
	switch r.Method {
	case CallTool, GetPrompt:
		source = "name"
	case ReadResource:
		source = "uri"
	default:
		return nil
	}
	name, ok := r.Params.Text(source)
	if !ok {
		return errorf(CodeInvalidParams, "Invalid params: %s is missing or not a string", source)
	}
	return checkHeader(h, HeaderName, name, true)
}

func checkHeader(h http.Header, name, want string, encoded bool) *Error {
	got, err := oneHeader(h, name)
	if err != nil {
		return err
	}
	if encoded {
		if got, err = decodeHeader(name, got); err != nil {
			return err
		}
	}
	if got != want {
		return errorf(CodeHeaderMismatch, "Header mismatch: %s header value %q does not match body value %q", name, got, want)
	}
	return nil
}

func oneHeader(h http.Header, name string) (string, *Error) {
	values := h.Values(name)
	if len(values) != 1 {
		return "", errorf(CodeHeaderMismatch, "Header mismatch: %s occurs %d times, want once", name, len(values))
	}
	for _, c := range []byte(values[0]) {
		if c != '\t' && (c < ' ' || c > '~') {
			return "", errorf(CodeHeaderMismatch, "Header mismatch: %s holds the byte 0x%02x; encode it as =?base64?...?=", name, c)
		}
	}
	return values[0], nil
}

// decodeHeader undoes the Base64 sentinel ("Value Encoding").
func decodeHeader(name, value string) (string, *Error) {
	inner, ok := strings.CutPrefix(value, "=?base64?")
	if !ok || !strings.HasSuffix(inner, "?=") {
		return value, nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(inner, "?="))
	if err != nil || !utf8.Valid(raw) {
		return "", errorf(CodeHeaderMismatch, "Header mismatch: %s is not Base64 of UTF-8", name)
	}
	return string(raw), nil
}

// ParamHeader is an argument of a tool that the client mirrors in a header.
type ParamHeader struct {
	Name string   // after Mcp-Param-
	Path []string // keys of properties that lead to the argument
}

// ParamHeaders finds the x-mcp-header annotations of a tool's inputSchema
// along chains of properties ("Schema Extension"). An annotation anywhere else
// makes the tool invalid for the client, not for the server.
func ParamHeaders(schema json.RawMessage) []ParamHeader {
	var found []ParamHeader
	collectParams(schema, nil, &found)
	return found
}

const maxSchemaDepth = 32

func collectParams(schema json.RawMessage, path []string, found *[]ParamHeader) {
	o, err := Parse(schema)
	if err != nil || len(path) > maxSchemaDepth {
		return
	}
	if name, ok := o.Text("x-mcp-header"); ok && name != "" && len(path) > 0 {
		*found = append(*found, ParamHeader{Name: name, Path: append([]string(nil), path...)})
	}
	properties, err := o.Object("properties")
	if err != nil {
		return
	}
	for _, key := range properties.Keys() {
		collectParams(properties.Get(key), append(path, key), found)
	}
}

// CheckParams compares the Mcp-Param headers with the arguments of the call.
func (r *Request) CheckParams(h http.Header, params []ParamHeader) *Error {
	for _, p := range params {
		value := r.argument(p.Path)
		name := headerParam + p.Name
		if value == nil {
			if len(h.Values(name)) > 0 {
				return errorf(CodeHeaderMismatch, "Header mismatch: %s is set, but the body has no such argument", name)
			}
			continue
		}
		got, err := oneHeader(h, name)
		if err != nil {
			return err
		}
		if got, err = decodeHeader(name, got); err != nil {
			return err
		}
		if !sameValue(got, value) {
			return errorf(CodeHeaderMismatch, "Header mismatch: %s does not match the body", name)
		}
	}
	return nil
}

// argument returns the value at the path, or nil where it is absent or null.
func (r *Request) argument(path []string) json.RawMessage {
	at := r.Params.Get("arguments")
	for _, key := range path {
		o, err := Parse(at)
		if err != nil {
			return nil
		}
		at = o.Get(key)
	}
	if string(at) == "null" {
		return nil
	}
	return at
}

// sameValue compares numbers as numbers: 42.0 and 42 are equal ("Server
// Validation", note). Exponents are left to the text: 1e999999999 would cost
// more than it could tell.
func sameValue(header string, value json.RawMessage) bool {
	if value[0] == '"' {
		var s string
		return json.Unmarshal(value, &s) == nil && s == header
	}
	if header == string(value) {
		return true
	}
	if strings.ContainsAny(header+string(value), "eE/xXpP_") {
		return false
	}
	a, okA := new(big.Rat).SetString(header)
	b, okB := new(big.Rat).SetString(string(value))
	return okA && okB && a.Cmp(b) == 0
}
