//go:build e2e && field

package e2e

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/e2e/model"
)

// agent is a program that is given a token in place of a sign-in, and calls a
// tool because a model asks it to. The model is package model's.
type agent struct {
	name  string
	env   []string
	file  string // of the configuration, below the home
	text  string
	token []string // makes the address and the token known, nil where a file does
	call  []string // has whoami called, and prints the answer
}

// agents are driven by what is typed here; each line of token stands on the
// program's page in docs/clients.
func agents(url, model, token string) []agent {
	bearer := "Authorization: Bearer " + token
	return []agent{
		{
			name: "Claude Code", env: []string{
				"ANTHROPIC_BASE_URL=" + model, "ANTHROPIC_API_KEY=none",
				"ENABLE_TOOL_SEARCH=false", // the model is to see every tool at once
			},
			token: []string{"claude", "mcp", "add", "--transport", "http", "gate", url, "--header", bearer},
			call:  []string{"claude", "-p", "who am I", "--allowedTools", "mcp__gate__whoami"},
		},
		{
			name: "Codex", env: []string{"GATE_KEY=" + token}, file: ".codex/config.toml",
			text: "[mcp_servers.gate]\nurl = \"" + url + "\"\nbearer_token_env_var = \"GATE_KEY\"\n",
			call: []string{
				"codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
				"-c", `model="stand-in"`, "-c", `model_provider="field"`,
				"-c", `model_providers.field={name="field", base_url="` + model + `/v1", wire_api="responses"}`, "who am I",
			},
		},
		{
			name: "opencode", file: ".config/opencode/opencode.json",
			text: `{"mcp": {"gate": {"type": "remote", "url": "` + url + `", "enabled": true, "oauth": false,
				"headers": {"Authorization": "Bearer ` + token + `"}}},
				"model": "field/stand-in", "small_model": "field/stand-in", "provider": {"field": {
				"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": "` + model + `/v1", "apiKey": "none"},
				"models": {"stand-in": {"tool_call": true}}}}}`,
			call: []string{"opencode", "run", "who am I"},
		},
		{
			name: "Gemini CLI", env: geminiEnv(model), file: ".gemini/settings.json", text: geminiSettings,
			token: []string{"gemini", "mcp", "add", "--transport", "http", "gate", url, "--header", bearer},
			call:  []string{"gemini", "-y", "-m", "gemini-2.5-flash", "-p", "who am I"},
		},
		{
			name: "Copilot CLI", env: copilotEnv(model),
			token: []string{"copilot", "mcp", "add", "--transport", "http", "gate", url, "--header", bearer},
			call:  []string{"copilot", "--allow-all-tools", "-p", "who am I"},
		},
		{name: "fastmcp", call: []string{"fastmcp", "call", url, "whoami", "--auth", token}},
		{
			name: "Inspector CLI",
			call: []string{
				"mcp-inspector", "--cli", url, "--transport", "http", "--method", "tools/call", "--tool-name", "whoami",
				"--header", bearer,
			},
		},
	}
}

// geminiSettings say that it has a key for its model.
const geminiSettings = `{"security": {"auth": {"selectedType": "gemini-api-key"}}}`

func geminiEnv(model string) []string {
	return []string{
		"GEMINI_API_KEY=none", "GOOGLE_GEMINI_BASE_URL=" + model, "GEMINI_CLI_TRUST_WORKSPACE=true", "TERM=xterm-256color",
	}
}

// copilotEnv is of a Copilot with a model of one's own: it asks for no login at
// GitHub.
func copilotEnv(model string) []string {
	return []string{
		"COPILOT_OFFLINE=true", "COPILOT_PROVIDER_BASE_URL=" + model + "/v1", "COPILOT_MODEL=stand-in",
		"TERM=xterm-256color",
	}
}

// TestFieldWithAToken drives each program with a token of its own, and reads in
// what it prints whom the gate took it for.
func TestFieldWithAToken(t *testing.T) {
	mind := httptest.NewServer(model.Handler("whoami"))
	t.Cleanup(mind.Close)
	who := newPerson(t)
	for i, named := range agents("", "", "") {
		t.Run(named.name, func(t *testing.T) {
			a := agents(gate.URL+"/mcp", mind.URL, token(t, who.name))[i]
			h := newHome(t)
			h.env, h.at = a.env, filepath.Join(h.dir, "project") // Gemini takes no project that is the home
			for _, path := range []string{filepath.Join(h.at, "x"), filepath.Join(h.dir, a.file)} {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if a.file != "" {
				if err := os.WriteFile(filepath.Join(h.dir, a.file), []byte(a.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			added := ""
			if a.token != nil {
				added = h.run(t, a.token...)
			}
			if out := h.run(t, a.call...); !strings.Contains(out, who.name+"@example.com") {
				t.Errorf("%s says nothing of %s:\n%s\nand before:\n%s", a.call[0], who.name, out, added)
			}
		})
	}
}
