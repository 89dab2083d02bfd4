package translate

import (
	"bytes"
	"encoding/json"
)

// Request is one request or notification of 2026-07-28, read but not decoded.
type Request struct {
	ID           json.RawMessage // nil for a notification
	Method       string
	Message      Object
	Params       Object
	Meta         Object
	Version      string
	Capabilities json.RawMessage // of the client, as it declared them
	LogLevel     string          // "" where the client wants no log messages
}

// ReadEnvelope reads the body of a POST as one request or notification. What
// it could read of the request is returned beside the error, so that the
// answer can carry the id.
func ReadEnvelope(body []byte) (Request, *Error) {
	var r Request
	if !json.Valid(body) {
		return r, errorf(CodeParse, "Parse error: the body is not JSON")
	}
	if first := bytes.TrimLeft(body, " \t\r\n"); first[0] == '[' {
		return r, errorf(CodeInvalidRequest, "Invalid request: a batch; send each message in its own POST")
	}
	message, err := Parse(body)
	if err != nil {
		return r, errorf(CodeInvalidRequest, "Invalid request: %v", err)
	}
	r.Message = message
	if id := message.Get("id"); id != nil {
		if !validID(id) {
			return r, errorf(CodeInvalidRequest, "Invalid request: id must be a string or a number")
		}
		r.ID = id
	}
	if version, _ := message.Text("jsonrpc"); version != "2.0" {
		return r, errorf(CodeInvalidRequest, `Invalid request: jsonrpc must be "2.0"`)
	}
	method, ok := message.Text("method")
	if !ok || method == "" {
		return r, errorf(CodeInvalidRequest, "Invalid request: method is missing; a response cannot be posted in %s", Modern)
	}
	r.Method = method
	if r.Params, err = message.Object("params"); err != nil {
		return r, errorf(CodeInvalidParams, "Invalid params: params: %v", err)
	}
	if r.Meta, err = r.Params.Object("_meta"); err != nil {
		return r, errorf(CodeInvalidParams, "Invalid params: _meta: %v", err)
	}
	return r, nil
}

// validID accepts what JSON-RPC does but null, which MCP forbids.
func validID(id json.RawMessage) bool {
	c := id[0]
	return c == '"' || c == '-' || c >= '0' && c <= '9'
}

// ReadMeta checks the fields of _meta that every request must carry
// (basic/index, "_meta"): a version and capabilities; clientInfo may be absent.
func (r *Request) ReadMeta() *Error {
	version, ok := r.Meta.Text(MetaVersion)
	if !ok {
		return errorf(CodeInvalidParams, "Invalid params: _meta[%q] is missing or not a string", MetaVersion)
	}
	r.Version = version
	capabilities := r.Meta.Get(MetaCapabilities)
	if _, err := Parse(capabilities); err != nil {
		return errorf(CodeInvalidParams, "Invalid params: _meta[%q] is missing or not an object", MetaCapabilities)
	}
	r.Capabilities = capabilities
	if r.Meta.Has(MetaLogLevel) {
		level, _ := r.Meta.Text(MetaLogLevel)
		if !logLevel(level) {
			return errorf(CodeInvalidParams, "Invalid params: _meta[%q] is not a log level", MetaLogLevel)
		}
		r.LogLevel = level
	}
	return nil
}

// IsModern reports whether a POST belongs to 2026-07-28: its _meta or its
// version header says so (basic/versioning, "A dual-era server selects its
// behavior from how the client opens"), or its method exists there only.
// Everything else is left to the older eras.
func IsModern(versionHeader string, body []byte) bool {
	if versionHeader == Modern {
		return true
	}
	message, err := Parse(body)
	if err != nil {
		return false
	}
	if method, _ := message.Text("method"); method == Discover || method == Listen {
		return true
	}
	params, err := message.Object("params")
	if err != nil {
		return false
	}
	meta, err := params.Object("_meta")
	return err == nil && meta.Has(MetaVersion)
}

// ForChild is the request as it goes down a child's stdin under another id.
// older takes out what only 2026-07-28 knows; token, where not nil, replaces
// the client's progress token, which is unique only among its own requests.
func (r *Request) ForChild(id, token json.RawMessage, older bool) json.RawMessage {
	edits := []Edit{{metaProgress, token}}
	if token == nil {
		edits = nil
	}
	if older {
		for _, key := range []string{MetaVersion, MetaClientInfo, MetaCapabilities, MetaLogLevel} {
			edits = append(edits, Edit{key, nil})
		}
	}
	params := r.Params.With(r.metaEdit(edits, older)...)
	return r.Message.With(Edit{"id", id}, Edit{"params", params})
}

func (r *Request) metaEdit(edits []Edit, older bool) []Edit {
	meta := r.Meta.With(edits...)
	if !older {
		return []Edit{{"_meta", meta}}
	}
	if string(meta) == "{}" {
		meta = nil
	}
	return []Edit{{"_meta", meta}, {"inputResponses", nil}, {"requestState", nil}}
}

// ProgressToken returns the token that the client gave, or nil.
func (r *Request) ProgressToken() json.RawMessage { return r.Meta.Get(metaProgress) }
