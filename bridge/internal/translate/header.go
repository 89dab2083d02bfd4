package translate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"unicode/utf8"

	"gatehouse/bridge/internal/rpc"
)

// Request headers of 2026-07-28 (basic/transports/streamable-http, "Request
// Metadata").
const (
	HeaderVersion = "Mcp-Protocol-Version"
	HeaderMethod  = "Mcp-Method"
	HeaderName    = "Mcp-Name"
	headerParam   = "Mcp-Param-"
)

const annotation = "x-mcp-header"

// CheckVersion compares the version header with _meta, and both with what is
// served. A header that is missing or differs is a mismatch even where the
// version is unknown: a node in front may have routed on it.
func (r *Request) CheckVersion(h http.Header) *rpc.Error {
	if err := checkHeader(h, HeaderVersion, r.Version, false); err != nil {
		return err
	}
	if r.Version != rpc.Version20260728 {
		return rpc.UnsupportedVersion(r.Version)
	}
	return nil
}

// CheckHeaders compares Mcp-Method and Mcp-Name with the body.
func (r *Request) CheckHeaders(h http.Header) *rpc.Error {
	if err := checkHeader(h, HeaderMethod, r.Method, false); err != nil {
		return err
	}
	var source string
	switch r.Method {
	case rpc.CallTool, rpc.GetPrompt:
		source = "name"
	case rpc.ReadResource:
		source = "uri"
	default:
		return nil
	}
	name, ok := r.Params.Text(source)
	if !ok {
		return rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: %s is missing or not a string", source)
	}
	return checkHeader(h, HeaderName, name, true)
}

const maxQuoted = 256 // bytes of a value that an error tells back

func checkHeader(h http.Header, name, want string, encoded bool) *rpc.Error {
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
		return rpc.Errorf(rpc.CodeHeaderMismatch, "Header mismatch: %s header value %q does not match body value %q",
			name, rpc.Clip(got, maxQuoted), rpc.Clip(want, maxQuoted))
	}
	return nil
}

func oneHeader(h http.Header, name string) (string, *rpc.Error) {
	values := h.Values(name)
	if len(values) != 1 {
		return "", rpc.Errorf(rpc.CodeHeaderMismatch, "Header mismatch: %s occurs %d times, want once", name, len(values))
	}
	for _, c := range []byte(values[0]) {
		if c != '\t' && (c < ' ' || c > '~') {
			return "", rpc.Errorf(rpc.CodeHeaderMismatch,
				"Header mismatch: %s holds the byte 0x%02x; encode it as =?base64?...?=", name, c)
		}
	}
	return values[0], nil
}

// decodeHeader undoes the Base64 sentinel ("Value Encoding").
func decodeHeader(name, value string) (string, *rpc.Error) {
	inner, ok := strings.CutPrefix(value, "=?base64?")
	if !ok || !strings.HasSuffix(inner, "?=") {
		return value, nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(inner, "?="))
	if err != nil || !utf8.Valid(raw) {
		return "", rpc.Errorf(rpc.CodeHeaderMismatch, "Header mismatch: %s is not Base64 of UTF-8", name)
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

const (
	maxSchemaDepth  = 8  // of properties in properties
	maxParamHeaders = 32 // of one tool
)

func collectParams(schema json.RawMessage, path []string, found *[]ParamHeader) {
	if mark := []byte(annotation); !bytes.Contains(schema, mark) && bytes.IndexByte(schema, '\\') < 0 {
		return // most have none
	}
	o, err := Parse(schema)
	if err != nil || len(path) > maxSchemaDepth || len(*found) >= maxParamHeaders {
		return
	}
	if name, ok := o.Text(annotation); ok && name != "" && len(path) > 0 {
		*found = append(*found, ParamHeader{Name: name, Path: append([]string(nil), path...)})
	}
	properties, err := o.Object("properties")
	if err != nil {
		return
	}
	_ = properties.Each(func(key string, value json.RawMessage) error {
		collectParams(value, append(path, key), found)
		return nil
	})
}

// CheckParams compares the Mcp-Param headers with the arguments of the call.
func (r *Request) CheckParams(h http.Header, params []ParamHeader) *rpc.Error {
	args := arguments{"": {raw: r.Params.Get("arguments")}}
	for _, p := range params {
		value, err := args.at(p.Path)
		name := headerParam + p.Name
		if err != nil {
			return rpc.Errorf(rpc.CodeHeaderMismatch, "Header mismatch: %s: arguments: %v", name, err)
		}
		if value == nil {
			if len(h.Values(name)) > 0 {
				return rpc.Errorf(rpc.CodeHeaderMismatch, "Header mismatch: %s is set, but the body has no such argument", name)
			}
			continue
		}
		got, bad := oneHeader(h, name)
		if bad == nil {
			got, bad = decodeHeader(name, got)
		}
		if bad != nil {
			return bad
		}
		if !sameValue(got, value) {
			return rpc.Errorf(rpc.CodeHeaderMismatch, "Header mismatch: %s does not match the body", name)
		}
	}
	return nil
}

// arguments remembers, by path, the objects that were taken apart: each is read
// once for all the headers.
type arguments map[string]argument

type argument struct {
	raw json.RawMessage // nil where there is none
	o   *Object         // nil while it was not taken apart
}

// at returns the value at the path, or nil where it is absent or null.
func (a arguments) at(path []string) (json.RawMessage, error) {
	place := ""
	for _, key := range path {
		outer := a[place]
		if len(outer.raw) == 0 || outer.raw[0] != '{' {
			return nil, nil
		}
		if outer.o == nil {
			o, err := Parse(outer.raw)
			if err != nil {
				return nil, err
			}
			outer.o = &o
			a[place] = outer
		}
		place += "\x00" + key
		if _, known := a[place]; !known {
			a[place] = argument{raw: outer.o.Get(key)}
		}
	}
	if raw := a[place].raw; string(raw) != "null" {
		return raw, nil
	}
	return nil, nil
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
	const most = 256 // digits; comparing numbers costs more than their bytes
	if len(header) > most || len(value) > most || strings.ContainsAny(header+string(value), "eE/xXpP_") {
		return false
	}
	a, okA := new(big.Rat).SetString(header)
	b, okB := new(big.Rat).SetString(string(value))
	return okA && okB && a.Cmp(b) == 0
}
