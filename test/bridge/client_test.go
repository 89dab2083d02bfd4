package bridge_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// client is a session of 2025-06-18 on /mcp.
type client struct {
	t      *testing.T
	url    string
	id     string
	header http.Header // of every request
	last   int
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":` +
	`{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"test","version":"1"}}}`

// answer is a response as a client reads it.
type answer struct {
	Status int
	Header http.Header
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result struct {
		ProtocolVersion string `json:"protocolVersion"`
		ResultType      string `json:"resultType"`
		InputRequests   map[string]struct {
			Params map[string]string `json:"params"`
		} `json:"inputRequests"`
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
	} `json:"result"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Stderr       string              `json:"stderr"`
			Elicitations []map[string]string `json:"elicitations"`
		} `json:"data"`
	} `json:"error"`
}

func (a *answer) text() string {
	if len(a.Result.Content) == 0 {
		return ""
	}
	return a.Result.Content[0].Text
}

func newClient(t *testing.T, url string, header http.Header) *client {
	return &client{t: t, url: url, header: header}
}

// open opens a session.
func open(t *testing.T, b *bridge) *client {
	t.Helper()
	c := newClient(t, b.base+"/mcp", nil)
	if a := c.post(initialize); a.Status != http.StatusOK || c.id == "" {
		t.Fatalf("initialize: %+v", a)
	}
	c.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

// openInHaste opens one where calls have so little time that a start may take longer.
func openInHaste(t *testing.T, b *bridge) *client {
	t.Helper()
	c := newClient(t, b.base+"/mcp", nil)
	eventually(t, "a session opens", func() bool { return c.post(initialize).Error == nil && c.id != "" })
	c.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

func (c *client) request(ctx context.Context, method, body string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, c.url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodGet {
		req.Header.Set("Accept", "text/event-stream")
	}
	if c.id != "" {
		req.Header.Set("Mcp-Session-Id", c.id)
	}
	return req
}

// post sends one message and returns its answer, be it a body or the last
// event of a stream.
func (c *client) post(body string) *answer {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	res, err := http.DefaultClient.Do(c.request(ctx, http.MethodPost, body))
	if err != nil {
		c.t.Error(err)
		return &answer{}
	}
	defer res.Body.Close()
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		c.id = id
	}
	a := &answer{Status: res.StatusCode, Header: res.Header}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		for _, e := range readEvents(c.t, res.Body) {
			*a = answer{Status: res.StatusCode, Header: res.Header}
			_ = json.Unmarshal([]byte(e.data), a)
		}
		return a
	}
	raw, err := io.ReadAll(res.Body)
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, a)
	}
	if err != nil {
		c.t.Errorf("answer %.200q: %v", raw, err)
	}
	return a
}

func callBody(id int, tool, text string, n int) string {
	args, _ := json.Marshal(map[string]any{"text": text, "n": n})
	return fmt.Sprintf(
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s,"_meta":{"progressToken":%d}}}`,
		id,
		tool,
		args,
		id,
	)
}

// call calls a tool.
func (c *client) call(tool, text string, n int) *answer {
	c.t.Helper()
	c.last++
	return c.post(callBody(c.last, tool, text, n))
}

// says is call for a tool that must answer with a text.
func (c *client) says(tool, text string, n int) string {
	c.t.Helper()
	a := c.call(tool, text, n)
	if a.Status != http.StatusOK || a.Error != nil {
		c.t.Errorf("%s: status %d, %+v", tool, a.Status, a.Error)
	}
	return a.text()
}

// event is one of a stream.
type event struct{ id, name, data string }

// readEvents reads a stream to its end, which must not be one in the middle.
func readEvents(t *testing.T, r io.Reader) []event {
	t.Helper()
	var all []event
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		e, err := nextEvent(br)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Errorf("after %d events the stream broke off: %v", len(all), err)
			return all
		}
		all = append(all, e)
	}
}

func nextEvent(r *bufio.Reader) (e event, err error) {
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && (line != "" || e != (event{})) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return e, err
		}
		line = strings.TrimRight(line, "\n")
		switch name, value, _ := strings.Cut(line, ": "); {
		case line == "" && e.data != "":
			return e, nil
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			e.data = value
		}
	}
}

// stream is an open GET.
type stream struct {
	*bufio.Reader
	close func()
	res   *http.Response
}

func listen(t *testing.T, req *http.Request) *stream {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{bufio.NewReaderSize(res.Body, 64<<10), func() { _ = res.Body.Close() }, res}
	t.Cleanup(s.close)
	if res.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(res.Body)
		t.Fatalf("GET: %s %s", res.Status, raw)
	}
	return s
}

// sseClient is a client of 2024-11-05.
type sseClient struct {
	*stream
	t    *testing.T
	post string
}

func openSSE(t *testing.T, base, path string, header http.Header) *sseClient {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	c := &sseClient{stream: listen(t, req), t: t}
	e, err := nextEvent(c.Reader)
	if err != nil || e.name != "endpoint" {
		t.Fatalf("first event %+v, %v", e, err)
	}
	c.post = e.data
	return c
}

// send posts one message.
func (c *sseClient) send(base, body string) int {
	res, err := http.Post(base+c.post, "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		c.t.Error(err)
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}
