package mux

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"gatehouse/bridge/internal/rpc"
)

// MissingError refuses what needs a credential that the caller has not
// connected yet, and says where that is done. Whoever may be sent to an address
// is asked to go there (URL mode elicitation); anybody else reads it.
type MissingError struct {
	Label   string // of the credential, for people
	Connect string // the address
}

func (e *MissingError) Error() string {
	return e.text() + " Open " + e.Connect + " and then try again."
}

func (e *MissingError) text() string {
	return "This server acts as you: connect your own " + e.Label + " first."
}

// RPC is the refusal as the error of a JSON-RPC response.
func (e *MissingError) RPC() *rpc.Error {
	data, _ := json.Marshal(map[string]string{"credential": e.Label, "connect": e.Connect})
	return &rpc.Error{Code: rpc.CodeCredential, Message: e.Error(), Data: data}
}

// URLRequired is the refusal for a client of 2025-11-25 that opens addresses
// (client/elicitation, "URL Elicitation Required Error").
func (e *MissingError) URLRequired() *rpc.Error {
	data, _ := json.Marshal(map[string]any{"elicitations": []any{map[string]string{
		"mode": "url", "elicitationId": e.id(), "url": e.Connect, "message": e.text(),
	}}})
	return &rpc.Error{Code: rpc.CodeURLRequired, Message: e.Error(), Data: data}
}

// Elicitation is what a client of 2026-07-28 is asked (client/elicitation, "URL
// Mode Elicitation Requests").
func (e *MissingError) Elicitation() json.RawMessage {
	ask, _ := json.Marshal(map[string]any{"method": "elicitation/create", "params": map[string]string{
		"mode": "url", "url": e.Connect, "message": e.text(),
	}})
	return ask
}

// id names the same question alike each time: it is one page, not one each.
func (e *MissingError) id() string {
	sum := sha256.Sum256([]byte(e.Connect))
	return hex.EncodeToString(sum[:16])
}

// OpensURLs reports whether a client with these raw capabilities can be sent to
// an address: elicitation with url (2025-11-25 and later).
func OpensURLs(capabilities []byte) bool {
	return len(rpc.Member(rpc.Member(capabilities, "elicitation"), "url")) > 0
}
