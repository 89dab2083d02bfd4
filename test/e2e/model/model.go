// Package model stands in for the model behind an agent, so that a real agent
// calls a tool through the gate where no model can be had. It asks once for the
// tool, and then says what the tool answered. It speaks just enough of each
// vendor's API for the agents that the field test drives.
package model

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Said stands before what the tool answered, in the text that the agent prints.
const Said = "the tool said: "

// Handler asks for the tool whose name ends in tool: agents put the name of its
// server before it.
func Handler(tool string) http.Handler {
	mux := http.NewServeMux()
	for path, api := range map[string]func(reply) []any{
		"/v1/messages":         messages,
		"/v1/responses":        responses,
		"/v1/chat/completions": completions,
		"/v1beta/models/":      gemini,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var asked map[string]any
			raw, err := io.ReadAll(r.Body)
			if err == nil {
				err = json.Unmarshal(raw, &asked)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			answer(w, r, api(next(asked, tool)))
		})
	}
	return mux
}

// reply is either a call or a text.
type reply struct{ server, call, text string }

// next reads what every API has under names of its own: the tools on offer, and
// whether one of them has answered already.
func next(asked map[string]any, tool string) reply {
	if said := result(asked); said != "" {
		return reply{text: Said + said}
	}
	if server, name := offered(asked["tools"], tool); name != "" {
		return reply{server: server, call: name}
	}
	return reply{text: "no tool " + tool + " is on offer"}
}

// offered finds the tool's name, and the server's where tools are grouped by it.
func offered(v any, tool string) (server, name string) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			if server, name = offered(each, tool); name != "" {
				return server, name
			}
		}
	case map[string]any:
		if name, _ = v["name"].(string); strings.HasSuffix(name, tool) {
			return "", name
		}
		for _, inner := range []string{"function", "functionDeclarations", "tools"} {
			if _, found := offered(v[inner], tool); found != "" {
				return name, found
			}
		}
		return "", ""
	}
	return server, name
}

// result is the last tool's answer in the talk so far, as it came.
func result(v any) (said string) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			if inner := result(each); inner != "" {
				said = inner
			}
		}
	case map[string]any:
		answered := v["type"] == "tool_result" || v["type"] == "function_call_output" || v["role"] == "tool"
		for _, key := range []string{"content", "output", "functionResponse"} {
			if answered || key == "functionResponse" && v[key] != nil {
				if raw, err := json.Marshal(v[key]); err == nil && v[key] != nil {
					return string(raw)
				}
			}
		}
		for _, key := range []string{"messages", "input", "contents", "content", "parts"} {
			if inner := result(v[key]); inner != "" {
				said = inner
			}
		}
	}
	return said
}

// answer streams the events, or writes the last of them as the whole answer
// where the API streams nothing.
func answer(w http.ResponseWriter, r *http.Request, events []any) {
	if strings.HasSuffix(r.URL.Path, ":generateContent") {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(events[len(events)-1])
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, event := range events {
		data, _ := json.Marshal(event) // of maps and strings: it cannot fail
		if kind, ok := event.(object)["type"].(string); ok {
			_, _ = fmt.Fprintf(w, "event: %s\n", kind)
		}
		_, _ = fmt.Fprintf(w, "data: %s\n\n", data)
	}
	if strings.HasSuffix(r.URL.Path, "/completions") {
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	}
}

type object = map[string]any

// messages is Anthropic's.
func messages(r reply) []any {
	block, delta, stop := object{"type": "text", "text": ""}, object{"type": "text_delta", "text": r.text}, "end_turn"
	if r.call != "" {
		block = object{"type": "tool_use", "id": "call_1", "name": r.call, "input": object{}}
		delta, stop = object{"type": "input_json_delta", "partial_json": "{}"}, "tool_use"
	}
	usage := object{"input_tokens": 1, "output_tokens": 1}
	return []any{
		object{"type": "message_start", "message": object{
			"id": "msg_1", "type": "message", "role": "assistant", "model": "stand-in", "content": []any{}, "usage": usage,
		}},
		object{"type": "content_block_start", "index": 0, "content_block": block},
		object{"type": "content_block_delta", "index": 0, "delta": delta},
		object{"type": "content_block_stop", "index": 0},
		object{"type": "message_delta", "delta": object{"stop_reason": stop}, "usage": usage},
		object{"type": "message_stop"},
	}
}

// responses is OpenAI's newer one.
func responses(r reply) []any {
	item := object{
		"type": "message", "id": "item_1", "role": "assistant", "status": "completed",
		"content": []any{object{"type": "output_text", "text": r.text, "annotations": []any{}}},
	}
	if r.call != "" {
		item = object{
			"type": "function_call", "id": "item_1", "call_id": "call_1", "name": r.call, "arguments": "{}",
			"status": "completed",
		}
		if r.server != "" {
			item["namespace"] = r.server
		}
	}
	whole := object{
		"id": "resp_1", "object": "response", "model": "stand-in", "output": []any{item}, "status": "completed",
		"usage": object{"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
	}
	return []any{
		object{"type": "response.created", "response": object{"id": "resp_1"}},
		object{"type": "response.output_item.added", "output_index": 0, "item": item},
		object{"type": "response.output_item.done", "output_index": 0, "item": item},
		object{"type": "response.completed", "response": whole},
	}
}

// completions is OpenAI's older one, which most others speak too.
func completions(r reply) []any {
	delta, reason := object{"role": "assistant", "content": r.text}, "stop"
	if r.call != "" {
		delta, reason = object{"role": "assistant", "tool_calls": []any{object{
			"index": 0, "id": "call_1", "type": "function", "function": object{"name": r.call, "arguments": "{}"},
		}}}, "tool_calls"
	}
	chunk := func(delta object, reason any) object {
		return object{
			"id": "chat_1", "object": "chat.completion.chunk", "model": "stand-in",
			"choices": []any{object{"index": 0, "delta": delta, "finish_reason": reason}},
		}
	}
	return []any{chunk(delta, nil), chunk(object{}, reason)}
}

// gemini is Google's.
func gemini(r reply) []any {
	part := object{"text": r.text}
	if r.call != "" {
		part = object{"functionCall": object{"name": r.call, "args": object{}}}
	}
	return []any{object{
		"candidates": []any{object{
			"index": 0, "content": object{"role": "model", "parts": []any{part}}, "finishReason": "STOP",
		}},
		"usageMetadata": object{"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
	}}
}
