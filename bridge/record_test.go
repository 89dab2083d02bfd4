package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/bridge/internal/policy/policytest"
	"gatehouse/internal/contract"
)

// recordMode makes this test binary a stdio server that writes each line that
// reaches it to the file, and offers the things that recordNames names.
const recordMode = "GATEHOUSE_TEST_RECORD"

var recordNames = policytest.Names()

func recordChild(path string) {
	seen, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		_, _ = seen.Write(append(bytes.Clone(in.Bytes()), '\n')) // one write: children share the file
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ ProtocolVersion string }
		}
		if json.Unmarshal(in.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,%s}`+"\n", m.ID, recordAnswer(m.Method, m.Params.ProtocolVersion))
	}
}

func recordAnswer(method, version string) string {
	list := func(field, format string) string {
		var items []string
		for _, name := range recordNames {
			items = append(items, fmt.Sprintf(format, name))
		}
		return `"result":{"` + field + `":[` + strings.Join(items, ",") + `],"nextCursor":"c"}`
	}
	switch method {
	case "initialize":
		return `"result":{"protocolVersion":"` + version + `","capabilities":{"tools":{},"prompts":{},"resources":{}},"serverInfo":{"name":"t","version":"1"}}`
	case "tools/list":
		return list("tools", `{"name":"%s","inputSchema":{"type":"object"}}`)
	case "prompts/list":
		return list("prompts", `{"name":"%s"}`)
	case "resources/list":
		return list("resources", `{"name":"r","uri":"x://%s"}`)
	case "server/discover":
		return `"error":{"code":-32601,"message":"no such method"}`
	case "prompts/get":
		return `"result":{"messages":[]}`
	case "resources/read":
		return `"result":{"contents":[]}`
	}
	return `"result":{"content":[]}`
}

// record is where the children of a test write what reached them.
type record struct{ path string }

func newRecord(t *testing.T) record {
	t.Helper()
	r := record{filepath.Join(t.TempDir(), "seen")}
	t.Setenv(recordMode, r.path)
	t.Setenv("BRIDGE_SANDBOX_WRITE", filepath.Dir(r.path))
	return r
}

// lines are those that reached a child and hold the text.
func (r record) lines(t testing.TB, text string) []string {
	t.Helper()
	all, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// clear forgets what came.
func (r record) clear(t testing.TB) {
	t.Helper()
	if err := os.Truncate(r.path, 0); err != nil {
		t.Fatal(err)
	}
}

// signers stands for authsvc: it signs assertions, and tells the keys.
type signers struct {
	*contract.Signer
	URL string
}

func newSigners(t *testing.T) signers {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := contract.NewSigner(jose.JSONWebKey{Key: private, KeyID: "k", Algorithm: string(jose.EdDSA), Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	keys := jose.JSONWebKeySet{
		Keys: []jose.JSONWebKey{{Key: public, KeyID: "k", Algorithm: string(jose.EdDSA), Use: "sig"}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == contract.PathKeys {
			_ = json.NewEncoder(w).Encode(keys)
			return
		}
		_ = json.NewEncoder(w).Encode(contract.EndedAnswer{})
	}))
	t.Cleanup(server.Close)
	return signers{signer, server.URL}
}

func (s signers) assertion(t testing.TB, id contract.Identity) string {
	t.Helper()
	if id.Expires.IsZero() {
		id.Expires = time.Now().Add(time.Hour)
	}
	text, _, err := s.Sign(id, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// reply is what came back of a call in any era.
type reply struct {
	Status    int
	Challenge string
	Result    json.RawMessage
	Error     *struct {
		Code    int
		Message string
	}
}

// stateful are the headers and the body of a message of the older eras,
// modern those of 2026-07-28.
func stateful(method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":%q,"params":%s}`, "t", method, params)
}

const initParams = `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`

// peer speaks one era, as one identity a call.
type peer interface {
	call(t testing.TB, assertion, method, name, params string) reply
}

func post(t testing.TB, url, assertion, body string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if assertion != "" {
		req.Header.Set(contract.HeaderAssertion, assertion)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, text
}

// read takes the message out of a JSON body or the last event of a stream.
func read(t testing.TB, res *http.Response, body []byte) reply {
	t.Helper()
	a := reply{Status: res.StatusCode, Challenge: res.Header.Get("WWW-Authenticate")}
	if i := bytes.LastIndex(body, []byte("data: ")); i >= 0 {
		body, _, _ = bytes.Cut(body[i+len("data: "):], []byte("\n"))
	}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%s %s: %v", res.Status, body, err)
	}
	return a
}

type modernPeer struct{ base string }

func (p modernPeer) call(t testing.TB, assertion, method, name, params string) reply {
	t.Helper()
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
	params = strings.Replace("{"+meta+","+params[1:], ",}", "}", 1)
	headers := []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method}
	if name != "" {
		headers = append(headers, "Mcp-Name", name)
	}
	res, body := post(t, p.base+"/mcp", assertion, stateful(method, params), headers...)
	return read(t, res, body)
}

type streamablePeer struct {
	base    string
	session string
}

func (p *streamablePeer) open(t testing.TB, assertion, params string) {
	t.Helper()
	if p.session != "" {
		return
	}
	res, body := post(t, p.base+"/mcp", assertion, stateful("initialize", params))
	if p.session = res.Header.Get("Mcp-Session-Id"); p.session == "" {
		t.Fatalf("no session: %s %s", res.Status, body)
	}
	post(
		t, p.base+"/mcp", assertion, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id", p.session,
	)
}

func (p *streamablePeer) call(t testing.TB, assertion, method, _, params string) reply {
	t.Helper()
	p.open(t, assertion, initParams)
	res, body := post(
		t, p.base+"/mcp", assertion, stateful(method, params),
		"Mcp-Session-Id", p.session, "Mcp-Protocol-Version", "2025-06-18",
	)
	return read(t, res, body)
}

// batchPeer puts each call into a batch, which only 2025-03-26 knows.
type batchPeer struct {
	base string
	streamablePeer
}

func (p *batchPeer) call(t testing.TB, assertion, method, _, params string) reply {
	t.Helper()
	p.streamablePeer.base = p.base
	p.open(t, assertion, strings.Replace(initParams, "2025-06-18", "2025-03-26", 1))
	res, body := post(t, p.base+"/mcp", assertion, "["+stateful(method, params)+"]", "Mcp-Session-Id", p.session)
	return read(t, res, bytes.Trim(bytes.TrimSpace(body), "[]"))
}

// ssePeer has one stream on which all answers come.
type ssePeer struct {
	base   string
	target string
	events *bufio.Reader
}

func newSSEPeer(t testing.TB, base, assertion string) *ssePeer {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/sse", nil)
	if assertion != "" {
		req.Header.Set(contract.HeaderAssertion, assertion)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	p := &ssePeer{base: base, events: bufio.NewReader(res.Body)}
	p.target = base + p.next(t)
	p.call(t, assertion, "initialize", "", initParams)
	post(t, p.target, assertion, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return p
}

func (p *ssePeer) next(t testing.TB) string {
	t.Helper()
	for {
		line, err := p.events.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return strings.TrimSpace(data)
		}
	}
}

func (p *ssePeer) call(t testing.TB, assertion, method, _, params string) reply {
	t.Helper()
	res, body := post(t, p.target, assertion, stateful(method, params))
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("%s %s", res.Status, body)
	}
	return read(t, res, []byte(p.next(t)))
}
