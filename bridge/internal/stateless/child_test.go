package stateless_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// This test binary is also the child: an MCP server of 2025-11-25 over stdio.
const childEnv = "STATELESS_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "older":
		older(bufio.NewReader(os.Stdin))
		return
	case "modern":
		modern(bufio.NewReader(os.Stdin))
		return
	case "both": // and slow to start
		time.Sleep(2500 * time.Millisecond) // more than a child may be silent
		both(bufio.NewReader(os.Stdin))
		return
	case "picky":
		picky(bufio.NewReader(os.Stdin))
		return
	}
	goleak.VerifyTestMain(m)
}

type wire struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string                     `json:"name"`
		URI       string                     `json:"uri"`
		Arguments json.RawMessage            `json:"arguments"`
		Meta      map[string]json.RawMessage `json:"_meta"`
		Responses json.RawMessage            `json:"inputResponses"`
		State     string                     `json:"requestState"`
		Filter    json.RawMessage            `json:"notifications"`
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

func older(in *bufio.Reader) {
	asking := map[string]json.RawMessage{} // our request's id to the call's
	echo := `{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}`
	lists := 0
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m wire
		if json.Unmarshal(line, &m) != nil {
			fmt.Println(`{"jsonrpc":"2.0","method":"notifications/broken"}`)
			continue
		}
		switch m.Method {
		case "":
			call := asking[string(m.ID)]
			answer := m.Result
			if answer == nil {
				answer = m.Error
			}
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"answer":%s}}`+"\n", call, answer)
		case "initialize":
			fmt.Printf(
				`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"t","version":"1"},"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}}}}`+"\n",
				m.ID,
			)
		case "resources/subscribe":
			if m.Params.URI == "x:/asks" { // and waits for the answer, as server-everything does
				asking[`"first"`] = m.ID
				fmt.Println(`{"jsonrpc":"2.0","id":"first","method":"sampling/createMessage","params":{}}`)
				continue
			}
			if m.Params.URI == "x:/none" {
				fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32002,"message":"no such"}}`+"\n", m.ID)
				continue
			}
			fmt.Printf(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q}}`+"\n", m.Params.URI)
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{}}`+"\n", m.ID)
			fmt.Printf(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q}}`+"\n", m.Params.URI)
		case "tools/list":
			lists++
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"echo","inputSchema":%s},`+
				`{"name":"hold reads","annotations":{"readOnlyHint":true}},{"name":"hold writes","annotations":{}},`+
				`{"name":"hold twice","annotations":{"readOnlyHint":false,"idempotentHint":true}}]}}`+"\n", m.ID, echo)
		case "resources/read":
			hold(m.ID, strings.TrimPrefix(m.Params.URI, "file://"))
		case "tools/call":
			if m.Params.Name == "lists" { // how often it was asked for its tools, and who it is
				fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"lists":%d,"pid":%d}}`+"\n", m.ID, lists, os.Getpid())
				continue
			}
			if m.Params.Name == "bare" {
				echo = `{"type":"object"}`
				fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			}
			call(m, asking)
		case "notifications/cancelled":
			fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		case "notifications/initialized":
		default:
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`+"\n", m.ID)
		}
	}
}

func call(m wire, asking map[string]json.RawMessage) {
	switch m.Params.Name {
	case "hold reads", "hold writes", "hold twice":
		var at struct{ File string }
		_ = json.Unmarshal(m.Params.Arguments, &at)
		hold(m.ID, at.File)
	case "die":
		fmt.Fprintln(os.Stderr, "last words")
		os.Exit(3)
	case "ask":
		id := fmt.Sprintf(`"q%d"`, len(asking))
		asking[id] = m.ID
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"method":"elicitation/create","params":{"message":"who?"}}`+"\n", id)
	case "never":
		fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
	case "change":
		fmt.Println(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`+"\n", m.ID)
	default:
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"echo":%s}}`+"\n", m.ID, m.Params.Arguments)
	}
}

// hold answers where the file is there; else it makes the file, which then tells
// the child's pid, and the call waits for ever.
func hold(id json.RawMessage, file string) {
	if _, err := os.Stat(file); err != nil {
		_ = os.WriteFile(file+".part", fmt.Append(nil, os.Getpid()), 0o600)
		_ = os.Rename(file+".part", file)
		return
	}
	fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"contents":[],"pid":%d}}`+"\n", id, os.Getpid())
}

// modern is a server that knows 2026-07-28 only, and refuses what lacks its
// version.
func modern(in *bufio.Reader) {
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m wire
		switch err := json.Unmarshal(line, &m); {
		case err != nil || m.ID == nil:
		case string(m.Params.Meta["io.modelcontextprotocol/protocolVersion"]) != `"2026-07-28"`:
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no version"}}`+"\n", m.ID)
		case m.Method == "server/discover":
			fmt.Printf(
				`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}}}}`+"\n",
				m.ID,
			)
		case m.Method == "subscriptions/listen" && bytes.Contains(m.Params.Filter, []byte("x:/refuse")):
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"no room"}}`+"\n", m.ID)
		case m.Method == "subscriptions/listen" && bytes.Contains(m.Params.Filter, []byte("x:/exit")):
			return
		case m.Method == "subscriptions/listen":
			fmt.Printf(
				`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`+"\n",
				m.ID,
			)
		case m.Params.Responses != nil && m.Params.State != "plain":
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"not my state"}}`+"\n", m.ID)
		case m.Params.Responses != nil:
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","answer":%s}}`+"\n", m.ID, m.Params.Responses)
		default:
			fmt.Printf(
				`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"input_required","requestState":"plain","inputRequests":{"who":{"method":"elicitation/create","params":{"message":"who?"}}}}}`+"\n",
				m.ID,
			)
		}
	}
}

// both is a server of both eras, which belongs to the one in which it was spoken
// to first.
func both(in *bufio.Reader) {
	era := ""
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m wire
		if json.Unmarshal(line, &m) != nil || m.ID == nil {
			continue
		}
		if era == "" {
			era = m.Method
		}
		switch {
		case m.Method != era && (m.Method == "initialize" || m.Method == "server/discover"):
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32600,"message":"begun in the other era"}}`+"\n", m.ID)
		case m.Method == "server/discover":
			fmt.Printf(
				`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{}}}`+"\n",
				m.ID,
			)
		default:
			fmt.Printf(
				`{"jsonrpc":"2.0","id":%s,"result":{"era":%q,"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"both","version":"1"}}}`+"\n",
				m.ID, era,
			)
		}
	}
}

// picky refuses every version but the one that it names.
func picky(in *bufio.Reader) {
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m wire
		if json.Unmarshal(line, &m) != nil || m.ID == nil {
			continue
		}
		switch {
		case m.Method == "initialize" && bytes.Contains(line, []byte(`"protocolVersion":"2025-06-18"`)):
			fmt.Printf(
				`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"picky","version":"1"}}}`+"\n",
				m.ID,
			)
		case m.Method == "initialize" || m.Method == "server/discover":
			fmt.Printf(
				`{"jsonrpc":"2.0","id":%s,"error":{"code":-32022,"message":"no","data":{"supported":["2025-06-18"],"requested":"x"}}}`+"\n",
				m.ID,
			)
		default:
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"era":"named"}}`+"\n", m.ID)
		}
	}
}
