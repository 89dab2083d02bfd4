package translate

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Error codes of JSON-RPC and of 2026-07-28 (basic/index, "Error Codes").
const (
	CodeParse              = -32700
	CodeInvalidRequest     = -32600
	CodeMethodNotFound     = -32601
	CodeInvalidParams      = -32602
	CodeInternal           = -32603
	CodeHeaderMismatch     = -32020
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022
	codeResourceNotFound   = -32002 // 2025-11-25 and earlier
)

// Error is a JSON-RPC error, and the HTTP status that goes with it.
type Error struct {
	Code    int
	Message string
	Data    json.RawMessage // may be nil
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Status is the HTTP status of an answer with this error: the transport names
// 400 for what a request got wrong about itself and 404 for an unknown method.
// An error that a child gave to a well-formed call is an answer like others.
func Status(code int) int {
	switch code {
	case CodeMethodNotFound:
		return http.StatusNotFound
	case CodeHeaderMismatch, CodeMissingCapability, CodeUnsupportedVersion, CodeParse, CodeInvalidRequest:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// Response is the answer with this error; id is nil where none could be read.
func (e *Error) Response(id json.RawMessage) json.RawMessage {
	body := empty().With(
		Edit{"code", json.RawMessage(fmt.Sprint(e.Code))},
		Edit{"message", quote(e.Message)},
		Edit{"data", e.Data},
	)
	return empty().With(
		Edit{"jsonrpc", json.RawMessage(`"2.0"`)}, Edit{"id", id}, Edit{"error", body})
}

func errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// MethodNotFound is the error for a method that is not served.
func MethodNotFound(method string) *Error {
	return errorf(CodeMethodNotFound, "Method not found: %q", method)
}

func unsupportedVersion(requested string) *Error {
	supported, _ := json.Marshal(SupportedVersions()) // strings always marshal
	e := errorf(CodeUnsupportedVersion, "Unsupported protocol version")
	e.Data = empty().With(Edit{"supported", supported}, Edit{"requested", quote(requested)})
	return e
}
