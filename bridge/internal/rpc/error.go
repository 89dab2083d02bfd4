package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Codes of JSON-RPC 2.0, and of MCP.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
	CodeBusy           = -32000 // a bound is reached, or the server cannot take the call now
	CodeSession        = -32001 // the session is not known (what the SDKs use)
	CodeNoResource     = -32002 // 2025-11-25 and earlier
	CodeCredential     = -32004 // the caller has not connected a credential that the server needs
	CodeURLRequired    = -32042 // the same for a client of 2025-11-25 that opens addresses (client/elicitation)

	CodeHeaderMismatch     = -32020 // 2026-07-28, basic/index, "Error Codes"
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022
)

// CodeOf is the code for a body that ParseClient refuses (JSON-RPC 2.0, 5.1).
func CodeOf(err error) int {
	if errors.Is(err, ErrJSON) {
		return CodeParse
	}
	return CodeInvalidRequest
}

// Error is a JSON-RPC error that the bridge itself answers with.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Errorf makes an error of the bridge's own.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Message + " (" + strconv.Itoa(e.Code) + ")" }

// Body is the error response to the raw id; a nil id gives null.
func (e *Error) Body(id []byte) []byte {
	if id == nil {
		id = []byte("null")
	}
	return e.response(id)
}

// ModernBody is Body as 2026-07-28 has it: an id that could not be read is left
// out.
func (e *Error) ModernBody(id []byte) []byte { return e.response(id) }

func (e *Error) response(id []byte) []byte {
	detail := e.detail()
	out := append(make([]byte, 0, len(id)+len(detail)+32), `{"jsonrpc":"2.0"`...)
	if id != nil {
		out = append(append(out, `,"id":`...), id...)
	}
	return append(append(append(out, `,"error":`...), detail...), '}')
}

func (e *Error) detail() []byte {
	told := Error{Code: e.Code, Message: Clip(e.Message, maxText), Data: e.Data}
	detail, err := json.Marshal(&told)
	if err != nil { // data that is no JSON: the error is told without it
		told.Data = nil
		detail, _ = json.Marshal(&told)
	}
	return detail
}

const maxText = 1 << 10 // bytes of an error's text: it may quote what a caller wrote

// Clip bounds a text that a client or a child wrote, at a whole character.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const more = "..."
	end := most - len(more)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}

// ResultBody is the response to the raw id with a raw result.
func ResultBody(id, result []byte) []byte {
	out := make([]byte, 0, len(id)+len(result)+32)
	out = append(append(out, `{"jsonrpc":"2.0","id":`...), id...)
	return append(append(append(out, `,"result":`...), result...), '}')
}
