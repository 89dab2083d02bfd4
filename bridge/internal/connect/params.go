package connect

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

// toolHeaders knows which arguments of which tools are mirrored in headers
// (2026-07-28, basic/transports/streamable-http, "Custom Headers").
type toolHeaders struct {
	mu    sync.Mutex
	known map[string][]translate.ParamHeader
}

const (
	annotation  = "x-mcp-header"
	paramPrefix = "Mcp-Param-"
	maxKnown    = 10_000 // tools with such headers
	maxPages    = 32     // of a list that we ask for ourselves
	maxDepth    = 32     // of a schema
)

// modernHeader is what 2026-07-28 wants of each POST.
func modernHeader(m *rpc.Message) http.Header {
	h := http.Header{}
	h.Set(translate.HeaderVersion, m.Version())
	h.Set(translate.HeaderMethod, m.Method)
	switch m.Method {
	case rpc.CallTool, rpc.GetPrompt:
		h.Set(translate.HeaderName, headerValue(m.Name()))
	case rpc.ReadResource:
		h.Set(translate.HeaderName, headerValue(m.URI()))
	}
	return h
}

// headerValue writes text as a header's value ("Value Encoding").
func headerValue(text string) string {
	plain := strings.TrimSpace(text) == text && !(strings.HasPrefix(text, "=?base64?") && strings.HasSuffix(text, "?="))
	for i := range len(text) {
		plain = plain && text[i] >= ' ' && text[i] <= '~'
	}
	if plain {
		return text
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
}

// mirror sets the headers of a tool call.
func (t *toolHeaders) mirror(h http.Header, m *rpc.Message) {
	if m.Method != rpc.CallTool {
		return
	}
	t.mu.Lock()
	params := t.known[m.Name()]
	t.mu.Unlock()
	for _, p := range params {
		if value, ok := argument(m, p.Path); ok {
			h[http.CanonicalHeaderKey(paramPrefix+p.Name)] = []string{value}
		}
	}
}

// argument is the value at the path as a header wants it; false where it is
// absent, null or no scalar.
func argument(m *rpc.Message, path []string) (string, bool) {
	at := json.RawMessage(m.Params())
	for _, key := range append([]string{"arguments"}, path...) {
		o, err := translate.Parse(at)
		if err != nil {
			return "", false
		}
		at = o.Get(key)
	}
	switch {
	case len(at) == 0 || at[0] == 'n' || at[0] == '{' || at[0] == '[':
		return "", false
	case at[0] == '"':
		return headerValue(rpc.Text(at)), true
	}
	return string(at), true
}

// learn takes what an answer tells: the version of a session, the headers of
// tools. A tool whose annotations are not valid is taken out of the list: a
// client must not call it (same page, "Schema Extension").
func (r *run) learn(c *call, m *rpc.Message) {
	switch {
	case m.Failed:
	case c.method == "initialize":
		r.mu.Lock()
		s := r.sess
		r.mu.Unlock()
		s.agree(m)
	case c.method == rpc.ListTools && c.modern:
		if line := r.tools.learn(m, func(tool string) {
			r.log.Warn("a tool was left out: its "+annotation+" is not valid", "tool", tool)
		}); line != nil {
			if cut, err := rpc.Parse(line); err == nil {
				*m = cut
			}
		}
	}
}

// learn returns the message without its invalid tools, or nil where all are
// valid.
func (t *toolHeaders) learn(m *rpc.Message, invalid func(tool string)) []byte {
	var page struct {
		Tools []json.RawMessage `json:"tools"`
	}
	if json.Unmarshal(m.Result(), &page) != nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string][]translate.ParamHeader{}
	}
	kept := make([]json.RawMessage, 0, len(page.Tools))
	for _, raw := range page.Tools {
		var tool struct {
			Name        string          `json:"name"`
			InputSchema json.RawMessage `json:"inputSchema"`
		}
		if json.Unmarshal(raw, &tool) != nil {
			kept = append(kept, raw)
			continue
		}
		delete(t.known, tool.Name)
		if bytes.Contains(tool.InputSchema, []byte(annotation)) {
			params, ok := readAnnotations(tool.InputSchema)
			if !ok {
				invalid(tool.Name)
				continue
			}
			if len(params) > 0 && len(t.known) < maxKnown {
				t.known[tool.Name] = params
			}
		}
		kept = append(kept, raw)
	}
	if len(kept) == len(page.Tools) {
		return nil
	}
	return withTools(m, kept)
}

func withTools(m *rpc.Message, tools []json.RawMessage) []byte {
	list, err := json.Marshal(tools)
	if err != nil {
		return nil
	}
	result, err := translate.Parse(m.Result())
	if err != nil {
		return nil
	}
	with := result.With(translate.Edit{Key: "tools", Value: list})
	return rpc.AppendEdited(nil, m.Line, rpc.Edit{At: m.ResultSpan(), With: with})
}

// readAnnotations finds the annotations of a schema, and whether all of them
// are where and as they may be.
func readAnnotations(schema json.RawMessage) ([]translate.ParamHeader, bool) {
	var root any
	if json.Unmarshal(schema, &root) != nil {
		return nil, false
	}
	found := 0
	if !valid(root, true, maxDepth, &found) {
		return nil, false
	}
	params := translate.ParamHeaders(schema)
	names := map[string]bool{}
	for _, p := range params {
		names[strings.ToLower(p.Name)] = true
	}
	return params, len(params) == found && len(names) == found
}

// valid walks a schema. reached says that only properties lead to it.
func valid(at any, reached bool, depth int, found *int) bool {
	if list, ok := at.([]any); ok && depth > 0 {
		for _, each := range list {
			if !valid(each, false, depth-1, found) {
				return false
			}
		}
	}
	node, ok := at.(map[string]any)
	if !ok {
		return true
	}
	if depth == 0 {
		return false
	}
	if name, has := node[annotation]; has {
		text, _ := name.(string)
		if *found++; !reached || !isToken(text) || !primitive(node["type"]) {
			return false
		}
	}
	for key, value := range node {
		switch key {
		case "properties":
			properties, _ := value.(map[string]any)
			for _, each := range properties {
				if !valid(each, reached, depth-1, found) {
					return false
				}
			}
		case annotation, "default", "const", "enum", "examples": // values, not schemas
		default:
			if !valid(value, false, depth-1, found) {
				return false
			}
		}
	}
	return true
}

func primitive(kind any) bool {
	return kind == "string" || kind == "integer" || kind == "boolean"
}

// isToken follows RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// isMismatch reports whether the server found that headers and body differ.
func isMismatch(err error) bool {
	var refused *statusError
	if !errors.As(err, &refused) || refused.body == nil {
		return false
	}
	m, bad := rpc.Parse(refused.body)
	var e rpc.Error
	return bad == nil && json.Unmarshal(m.Result(), &e) == nil && e.Code == rpc.CodeHeaderMismatch
}

// lookUp asks for the tools, to learn their headers. It says of the client what
// the call says.
func (r *run) lookUp(ctx context.Context, s *session, call *rpc.Message) {
	params, err := translate.Parse(call.Params())
	if err != nil {
		return
	}
	meta, err := params.Object("_meta")
	if err != nil {
		return
	}
	about := meta.With(translate.Edit{Key: "progressToken"})
	var cursor json.RawMessage
	for range maxPages {
		ask, _ := translate.Parse([]byte("{}"))
		line := translate.Message(json.RawMessage("0"), rpc.ListTools, ask.With(
			translate.Edit{Key: "cursor", Value: cursor}, translate.Edit{Key: "_meta", Value: about}))
		answer, err := r.ask(ctx, s, line)
		if err != nil || answer.Failed {
			return
		}
		r.tools.learn(answer, func(string) {})
		var page struct {
			NextCursor json.RawMessage `json:"nextCursor"`
		}
		if json.Unmarshal(answer.Result(), &page) != nil || len(page.NextCursor) == 0 || string(page.NextCursor) == "null" {
			return
		}
		cursor = page.NextCursor
	}
}
