package rpc

import (
	"encoding/json"
	"errors"
	"strconv"
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

func (e *Error) Error() string { return e.Message + " (" + strconv.Itoa(e.Code) + ")" }

// Body is the error response to the raw id; a nil id gives null.
func (e *Error) Body(id []byte) []byte {
	detail, err := json.Marshal(e)
	if err != nil { // data that is no JSON: the error is told without it
		detail, _ = json.Marshal(&Error{Code: e.Code, Message: e.Message})
	}
	if id == nil {
		id = []byte("null")
	}
	out := make([]byte, 0, len(id)+len(detail)+32)
	out = append(append(out, `{"jsonrpc":"2.0","id":`...), id...)
	return append(append(append(out, `,"error":`...), detail...), '}')
}

// ResultBody is the response to the raw id with a raw result.
func ResultBody(id, result []byte) []byte {
	out := make([]byte, 0, len(id)+len(result)+32)
	out = append(append(out, `{"jsonrpc":"2.0","id":`...), id...)
	return append(append(append(out, `,"result":`...), result...), '}')
}

// The protocol versions, oldest first.
const (
	Version20241105 = "2024-11-05"
	Version20250326 = "2025-03-26"
	Version20250618 = "2025-06-18"
	Version20251125 = "2025-11-25"
	Version20260728 = "2026-07-28"
)

// HasSessions reports whether v is a version that begins with initialize.
func HasSessions(v string) bool {
	switch v {
	case Version20241105, Version20250326, Version20250618, Version20251125:
		return true
	}
	return false
}
