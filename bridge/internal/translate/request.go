package translate

import (
	"encoding/json"
	"errors"

	"gatehouse/bridge/internal/rpc"
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

// Unreadable is what the sender of a POST is told where rpc.ParseClient took it
// for no message.
func Unreadable(err error) *rpc.Error {
	if errors.Is(err, rpc.ErrBatch) {
		return rpc.Errorf(rpc.CodeInvalidRequest, "Invalid request: a batch; send each message in its own POST")
	}
	return rpc.Errorf(rpc.CodeOf(err), "Invalid request: %v", err)
}

// ReadEnvelope reads a message that rpc.ParseClient took, as one request or
// notification. What it could read is returned beside the error, so that the
// answer can carry the id.
func ReadEnvelope(m *rpc.Message) (Request, *rpc.Error) {
	r := Request{ID: m.ID(), Method: m.Method}
	message, err := Parse(m.Line)
	if err != nil {
		return r, rpc.Errorf(rpc.CodeInvalidRequest, "Invalid request: %v", err)
	}
	r.Message = message
	if m.Kind == rpc.Response || m.Method == "" {
		return r, rpc.Errorf(rpc.CodeInvalidRequest,
			"Invalid request: method is missing; a response cannot be posted in %s", rpc.Version20260728)
	}
	if r.Params, err = message.Object("params"); err != nil {
		return r, rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: params: %v", err)
	}
	if r.Meta, err = r.Params.Object("_meta"); err != nil {
		return r, rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: _meta: %v", err)
	}
	r.Version, _ = r.Meta.Text(rpc.MetaVersion)
	return r, nil
}

// ReadMeta checks the fields of _meta that every request must carry
// (basic/index, "_meta"): a version and capabilities; clientInfo may be absent.
func (r *Request) ReadMeta() *rpc.Error {
	if _, ok := r.Meta.Text(rpc.MetaVersion); !ok {
		return rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: _meta[%q] is missing or not a string", rpc.MetaVersion)
	}
	capabilities := r.Meta.Get(rpc.MetaCapabilities)
	if _, err := Parse(capabilities); err != nil {
		return rpc.Errorf(rpc.CodeInvalidParams,
			"Invalid params: _meta[%q] is missing or not an object", rpc.MetaCapabilities)
	}
	r.Capabilities = capabilities
	if r.Meta.Has(rpc.MetaLogLevel) {
		level, _ := r.Meta.Text(rpc.MetaLogLevel)
		if !rpc.LogLevel(level) {
			return rpc.Errorf(rpc.CodeInvalidParams, "Invalid params: _meta[%q] is not a log level", rpc.MetaLogLevel)
		}
		r.LogLevel = level
	}
	return nil
}

// ForChild is the request as it goes down a child's stdin. older takes out what
// only 2026-07-28 knows.
func (r *Request) ForChild(older bool) json.RawMessage {
	if !older {
		return r.Message.With(Edit{"params", r.Params.Raw()})
	}
	meta := r.Meta.With(
		Edit{rpc.MetaVersion, nil}, Edit{rpc.MetaClientInfo, nil},
		Edit{rpc.MetaCapabilities, nil}, Edit{rpc.MetaLogLevel, nil})
	if string(meta) == "{}" {
		meta = nil
	}
	params := r.Params.With(Edit{"_meta", meta}, Edit{"inputResponses", nil}, Edit{"requestState", nil})
	return r.Message.With(Edit{"params", params})
}
