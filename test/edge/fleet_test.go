package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// fleet is three real bridges, each a node with the demo server, behind one nginx.
type fleet struct {
	*gate
	bridges map[string]*exec.Cmd
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	bin := t.TempDir()
	run(t, "go", "build", "-o", bin, filepath.Join("..", "..", "bridge"), filepath.Join("..", "..", "deploy", "demo"))
	f := &fleet{bridges: map[string]*exec.Cmd{}}
	addrs := map[string]string{}
	for _, node := range []string{"a", "b", "c"} {
		addrs[node] = fmt.Sprintf("127.0.0.1:%d", freeport.Port(t))
		cmd := exec.Command(
			filepath.Join(bin, "bridge"),
			"--listen="+addrs[node],
			"--node="+node,
			"--identity=none",
			"--",
			filepath.Join(bin, "demo"),
		)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		f.bridges[node] = cmd
		t.Cleanup(func() {
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait()
		})
	}
	for _, addr := range addrs {
		until(t, "the bridges are healthy", func() bool {
			res, err := http.Get("http://" + addr + "/health")
			if err != nil {
				return false
			}
			_ = res.Body.Close()
			return res.StatusCode == http.StatusOK
		})
	}
	f.gate = start(t, options{limits: unlimited, values: stack.NginxValues{Nodes: addrs}})
	return f
}

// elder is a client of 2025-06-18: it has a session, and starts a new one where
// a 404 says that the old is gone, as that version asks of it.
type elder struct {
	client  *http.Client
	url     string
	session string
	lost    int   // sessions that were gone
	failed  error // the first answer that was neither good nor a 404
	calls   int
}

func (e *elder) post(body string) (*http.Response, []byte, error) {
	req, err := http.NewRequest(http.MethodPost, e.url+"/mcp", strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", bearer)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if e.session != "" {
		req.Header.Set("Mcp-Session-Id", e.session)
		req.Header.Set("Mcp-Protocol-Version", "2025-06-18")
	}
	res, err := e.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res, text, err
}

func (e *elder) open() error {
	e.session = ""
	res, body, err := e.post(
		`{"jsonrpc":"2.0","id":0,"method":"initialize","params":` +
			`{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"elder","version":"1"}}}`,
	)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("initialize: %w: %v %s", err, res, body)
	}
	e.session = res.Header.Get("Mcp-Session-Id")
	_, _, err = e.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return err
}

// node is that of the session; "" where there is none.
func (e *elder) node() string {
	node, _, _ := strings.Cut(e.session, ".")
	return node
}

// add calls a tool and checks its answer.
func (e *elder) add() {
	if e.session == "" { // the bridge died just when a new one was to begin
		e.note(e.open())
	}
	e.calls++
	res, body, err := e.post(
		fmt.Sprintf(
			`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"add","arguments":{"a":%d,"b":1}}}`,
			e.calls,
			e.calls,
		),
	)
	switch {
	case err == nil && res.StatusCode == http.StatusNotFound:
		e.lost++
		err = e.open()
	case err == nil && (res.StatusCode != http.StatusOK ||
		!bytes.Contains(body, []byte(fmt.Sprintf(`"text":"%d"`, e.calls+1)))):
		err = fmt.Errorf("call %d: %s %s", e.calls, res.Status, body)
	}
	e.note(err)
}

// note keeps the first error.
func (e *elder) note(err error) {
	if e.failed == nil {
		e.failed = err
	}
}

func TestAKilledBridgeTakesOnlyItsOwnSessions(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	elders := make([]*elder, 12)
	on := map[string]int{}
	for i := range elders {
		elders[i] = &elder{client: f.http2(t), url: f.url}
		if err := elders[i].open(); err != nil {
			t.Fatal(err)
		}
		on[elders[i].node()]++
	}
	if len(on) != 3 {
		t.Fatalf("sessions by node: %v, want some on each", on)
	}
	before := make([]string, len(elders))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for i, e := range elders {
		before[i] = e.node()
		wg.Go(func() {
			for e.calls < 10 || ctx.Err() == nil {
				e.add()
			}
			e.add() // once more, now that the bridge is surely gone
		})
	}
	official := f.official(t)
	if err := f.bridges["b"].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = f.bridges["b"].Wait()
	for range 50 { // a client of 2026-07-28 has no session, and nothing to lose
		official(t)
	}
	cancel()
	wg.Wait()
	for i, e := range elders {
		lost := before[i] == "b"
		if (e.lost > 0) != lost || e.lost > 1 || e.node() == "b" || e.node() == "" {
			t.Errorf("client %d on %s: lost %d sessions, now on %s", i, before[i], e.lost, e.node())
		}
		if e.failed != nil && !lost {
			t.Errorf("client %d on %s: %v", i, before[i], e.failed)
		}
	}
	t.Logf("sessions by node before: %v; calls of the first client: %d", on, elders[0].calls)
}

// official is the SDK's client; what it returns makes one call.
func (f *fleet) official(t *testing.T) func(t *testing.T) {
	t.Helper()
	client := f.http2(t)
	client.Transport = signed{client.Transport}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "official", Version: "1"}, nil).
		Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: f.url + "/mcp", HTTPClient: client}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return func(t *testing.T) {
		t.Helper()
		res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": 1, "b": 2}})
		if err != nil {
			t.Fatalf("the official client: %v", err)
		}
		if text, _ := json.Marshal(res.Content); !bytes.Contains(text, []byte(`"3"`)) {
			t.Fatalf("1 + 2 = %s", text)
		}
	}
}

type signed struct{ next http.RoundTripper }

func (s signed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", bearer)
	return s.next.RoundTrip(r)
}

// nginx -s reload every two seconds, with 50 open streams and calls running.
func TestReloadsUnderLoadFailNoCall(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: unlimited, bridge: alive})
	streams := make([]func() bool, 50)
	for i := range streams {
		streams[i] = g.stream(t)
	}
	var stops []func() (int, error)
	for range 4 {
		stops = append(stops, g.calls(t))
	}
	reload := time.NewTicker(2 * time.Second)
	defer reload.Stop()
	for range 10 {
		<-reload.C
		run(t, "nginx", "-s", "reload", "-p", g.dir, "-c", filepath.Join(g.dir, "nginx.conf"))
	}
	for i, stop := range stops {
		if n, err := stop(); n == 0 || err != nil {
			t.Errorf("caller %d: %d calls, %v", i, n, err)
		}
	}
	for i, stream := range streams {
		if !stream() {
			t.Errorf("stream %d was lost", i)
		}
	}
}

// alive answers calls, and streams an event each 50 ms.
func alive(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/sse" {
		_, _ = io.WriteString(w, "ok")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(w, ": alive\n\n"); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
