package account

import (
	"cmp"
	"encoding/json"
	"strings"
)

// program is one that people have, with the lines that bring it to a server.
type program struct {
	ID, Name string // of its text program.ID
	Tried    string // version with which make field-test, or the end-to-end tests, tried it
	Followed bool   // the realm takes its registration as it documents it; the program is not tried
	Lines    []line
}

// line is one to copy. Where is a file, or the name of a text.
type line struct{ Where, Text string }

const anyVersion = "any"

const (
	onUnix    = "connect.unix"
	onWindows = "connect.windows"
)

// programs are the lines for one server, as docs/clients has them. called is the
// server's name, "" for the only one.
func programs(called, url string) []program {
	name := cmp.Or(called, "gatehouse")
	entry := func(key, value string) string { return object(name, map[string]string{key: value}) }
	return []program{
		{ID: "claude-code", Name: "Claude Code", Tried: "2.1.332", Lines: []line{
			{"", "claude mcp add --transport http " + name + " " + url},
		}},
		{ID: "claude", Name: "Claude (web, Desktop)", Followed: true, Lines: []line{{"", url}}},
		{ID: "chatgpt", Name: "ChatGPT", Followed: true, Lines: []line{{"", url}}},
		{ID: "vscode", Name: "VS Code", Followed: true, Lines: []line{
			{".vscode/mcp.json", wrap("servers", object(name, map[string]string{"type": "http", "url": url}))},
		}},
		{ID: "cursor", Name: "Cursor", Followed: true, Lines: []line{
			{`~/.cursor/mcp.json, %USERPROFILE%\.cursor\mcp.json`, wrap("mcpServers", entry("url", url))},
		}},
		{ID: "codex", Name: "Codex", Tried: "0.171.0", Lines: []line{
			{"", "codex mcp add " + name + " --url " + url}, {"", "codex mcp login " + name},
		}},
		{ID: "gemini", Name: "Gemini CLI", Tried: "0.61.0", Lines: []line{
			{"", "gemini mcp add --transport http " + name + " " + url}, {"", "/mcp auth " + name},
		}},
		{ID: "copilot", Name: "Copilot CLI", Tried: "1.0.102", Lines: []line{
			{`~/.copilot/mcp-config.json, %USERPROFILE%\.copilot\mcp-config.json`,
				`{"mcpServers": {"` + name + `": {"type": "http", "url": "` + url + `", "tools": ["*"]}}}`},
		}},
		{ID: "opencode", Name: "opencode", Tried: "1.18.33", Lines: []line{
			{`~/.config/opencode/opencode.json`,
				`{"mcp": {"` + name + `": {"type": "remote", "url": "` + url + `", "enabled": true}}}`},
			{"", "opencode mcp auth " + name},
		}},
		{ID: "windsurf", Name: "Windsurf", Followed: true, Lines: []line{
			{`~/.codeium/windsurf/mcp_config.json, %USERPROFILE%\.codeium\windsurf\mcp_config.json`,
				wrap("mcpServers", entry("serverUrl", url))},
		}},
		{ID: "jetbrains", Name: "JetBrains", Followed: true, Lines: []line{{"", wrap("mcpServers", entry("url", url))}}},
		{ID: "goose", Name: "Goose", Lines: []line{
			{"", `goose session --with-streamable-http-extension "` + url + `"`},
		}},
		{ID: "inspector", Name: "MCP Inspector", Tried: "2.12.0", Lines: []line{
			{"", "npx -y @modelcontextprotocol/inspector --cli " + url + " --transport http --method tools/list"},
		}},
		{ID: "curl", Name: "curl", Tried: anyVersion, Lines: []line{
			{onUnix, `curl -i -H "Authorization: Bearer $TOKEN" ` + headers + url + ` -d '` + initialize + `'`},
			{onWindows, `curl.exe -i -H "Authorization: Bearer %TOKEN%" ` + headers + url +
				` -d "` + strings.ReplaceAll(initialize, `"`, `\"`) + `"`},
		}},
		{ID: "stdio", Name: "stdio", Tried: "mcp-remote 0.15.1", Lines: []line{
			{"bridge connect", wrap("mcpServers", `{"`+name+`": {"command": "bridge", "args": ["connect", "`+url+`"]}}`)},
			{"mcp-remote", "npx -y mcp-remote " + url},
		}},
	}
}

const headers = `-H "Content-Type: application/json" -H "Accept: application/json, text/event-stream" `

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",` +
	`"capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}`

// object and wrap write JSON as people write it.
func object(key string, value map[string]string) string {
	return `{"` + key + `": ` + spaced(value) + `}`
}

func wrap(key, value string) string { return `{"` + key + `": ` + value + `}` }

func compact(value map[string]string) string {
	text, _ := json.Marshal(value) // a map of strings
	return string(text)
}

func spaced(value map[string]string) string {
	return strings.NewReplacer(`":"`, `": "`, `","`, `", "`).Replace(compact(value))
}
