// Client is what the official suite starts for a client scenario: a program on
// the Go SDK that speaks stdio to `bridge connect URL` as a desktop client does.
// The bridge is the client that the suite judges: signing in, headers, streams
// and resumption are its work; the SDK here only calls.
//
// GATEHOUSE_BRIDGE names the program. Where the bridge asks its user to visit an
// address, this program visits it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// scenarioState names its tools nowhere, and wants its question answered.
const scenarioState = "sep-2322-client-request-state"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	err := run(ctx, os.Args[len(os.Args)-1], os.Getenv("MCP_CONFORMANCE_SCENARIO"))
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// suite is what the suite hands to a scenario.
type suite struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	ToolCalls    []struct {
		Name      string         `json:"name"`
		Arguments map[string]any `json:"arguments"`
	} `json:"toolCalls"`
}

func run(ctx context.Context, url, scenario string) error {
	var given suite
	if text := os.Getenv("MCP_CONFORMANCE_CONTEXT"); text != "" {
		if err := json.Unmarshal([]byte(text), &given); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "conformance-client-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cmd, err := given.command(ctx, url, dir)
	if err != nil {
		return err
	}
	content := map[string]any{}
	if scenario == scenarioState {
		content["confirmed"] = true
	}
	session, err := open(ctx, cmd, content)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	return drive(ctx, session, scenario, given)
}

func (s *suite) command(ctx context.Context, url, dir string) (*exec.Cmd, error) {
	args := []string{"connect", "--no-browser", "--tokens", dir, "--log-level", "debug"}
	switch {
	case s.ClientID != "":
		secret := filepath.Join(dir, "secret")
		if err := os.WriteFile(secret, []byte(s.ClientSecret), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--client-id", s.ClientID, "--client-secret-file", secret)
	default: // the document that the suite knows; a server that takes none registers
		args = append(args, "--client-id", "https://conformance-test.local/client-metadata.json")
	}
	cmd := exec.CommandContext(ctx, os.Getenv("GATEHOUSE_BRIDGE"), append(args, url)...)
	said, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	go visit(ctx, said)
	return cmd, nil
}

// visit does what a user does with a browser: it follows the redirects of the
// authorization server back to the bridge.
func visit(ctx context.Context, said io.Reader) {
	for lines := bufio.NewScanner(said); lines.Scan(); {
		fmt.Fprintln(os.Stderr, lines.Text())
		_, link, ok := strings.Cut(lines.Text(), "to sign in, visit: ")
		if !ok {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
		if err != nil {
			continue
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}
}

// open answers each question with the content; the SDK adds the defaults.
func open(ctx context.Context, cmd *exec.Cmd, content map[string]any) (*mcp.ClientSession, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "conformance", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{}},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: content}, nil
		},
	})
	version := os.Getenv("MCP_CONFORMANCE_PROTOCOL_VERSION")
	return client.Connect(ctx, &mcp.CommandTransport{Command: cmd}, &mcp.ClientSessionOptions{ProtocolVersion: version})
}

// drive calls what the scenario looks at. A call that fails is for the suite to
// judge.
func drive(ctx context.Context, session *mcp.ClientSession, scenario string, given suite) error {
	call := func(name string, args map[string]any) {
		if args == nil {
			args = map[string]any{}
		}
		if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: args}); err != nil {
			fmt.Fprintln(os.Stderr, name, err)
		}
	}
	if scenario == scenarioState {
		for _, name := range []string{"echo_state", "no_state", "unrelated", "no_result_type"} {
			call("test_mrtr_"+name, nil)
		}
		return nil
	}
	tools, err := session.ListTools(ctx, nil)
	if err != nil {
		return err
	}
	for _, c := range given.ToolCalls {
		call(c.Name, c.Arguments)
	}
	if len(given.ToolCalls) > 0 {
		return nil
	}
	for _, tool := range tools.Tools {
		args := arguments()[tool.Name]
		if tool.Name == "json_schema_echo" {
			args = map[string]any{"schema": tools.Tools[0].InputSchema}
		}
		call(tool.Name, args)
	}
	if scenario == "http-invalid-tool-headers" {
		call("valid_tool", map[string]any{"region": "us-west1"})
	}
	if scenario != "http-standard-headers" {
		return nil
	}
	if list, err := session.ListResources(ctx, nil); err == nil && len(list.Resources) > 0 {
		_, _ = session.ReadResource(ctx, &mcp.ReadResourceParams{URI: list.Resources[0].URI})
	}
	if list, err := session.ListPrompts(ctx, nil); err == nil && len(list.Prompts) > 0 {
		_, _ = session.GetPrompt(ctx, &mcp.GetPromptParams{Name: list.Prompts[0].Name, Arguments: map[string]string{}})
	}
	return nil
}

func arguments() map[string]map[string]any {
	return map[string]map[string]any{"add_numbers": {"a": 5, "b": 3}, "valid_tool": {"region": "us-west1"}}
}
