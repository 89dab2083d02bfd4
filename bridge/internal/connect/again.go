package connect

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"gatehouse/bridge/internal/rpc"
)

// mayRepeat reports whether a request that was answered with 429 or 503 is made
// again: it does nothing, or the answer says that nothing was done. A 429 says so
// by what it is. Many a proxy answers 503 for a server that died under a call.
func mayRepeat(method string, body []byte, res *http.Response) bool {
	return res.StatusCode == http.StatusTooManyRequests || method != http.MethodPost || harmless(body) ||
		refusedWhole(res)
}

// harmless reports whether a message may be heard twice: it asks, or opens what
// nobody uses then.
func harmless(body []byte) bool {
	m, err := rpc.ParseClient(body)
	return err == nil && slices.Contains([]string{
		"initialize", "ping", rpc.Discover, rpc.ListTools, rpc.Listen,
		"prompts/list", "resources/list", "resources/templates/list",
	}, m.Method)
}

// refusedWhole reports whether a 503 is a refusal by a part that had no more of
// the message than its text: the bridge's own, or its nginx's in front of it. It
// leaves the body to be read.
func refusedWhole(res *http.Response) bool {
	if res.Header.Get("Retry-After") == "" || mediaType(res) != "application/json" {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
	res.Body = rest{io.MultiReader(bytes.NewReader(text), res.Body), res.Body}
	if err != nil {
		return false
	}
	var said struct {
		JSONRPC string          `json:"jsonrpc"`
		Error   json.RawMessage `json:"error"`
		Safe    bool            `json:"safe_to_retry"`
	}
	if json.Unmarshal(text, &said) != nil {
		return false
	}
	var refusal struct {
		Code int `json:"code"`
	}
	return said.Safe || said.JSONRPC == "2.0" && json.Unmarshal(said.Error, &refusal) == nil &&
		refusal.Code == rpc.CodeBusy
}

// rest is a body of which some was read already.
type rest struct {
	io.Reader
	io.Closer
}
