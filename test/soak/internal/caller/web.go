package caller

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// web is what the clients written by hand share.
type web struct {
	gate string
	http *http.Client
	user *User
	last int // id of the last request

	refused atomic.Int32 // the status of the last refusal
}

const mostOfAnswer = 1 << 20

// post sends a message. The body of the answer is the caller's to close.
func (w *web) post(ctx context.Context, url string, body []byte, set map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return w.do(req, "application/json, text/event-stream", set)
}

// get opens a stream.
func (w *web) get(ctx context.Context, url string, set map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return w.do(req, "text/event-stream", set)
}

// do gives a 2xx or an error that says what it was.
func (w *web) do(req *http.Request, accept string, set map[string]string) (*http.Response, error) {
	req.Header.Set("Accept", accept)
	for name, value := range set {
		req.Header.Set(name, value)
	}
	res, err := w.http.Do(req)
	if err != nil {
		return nil, failed(req.Context(), err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, mostOfAnswer))
	if err != nil {
		return nil, failed(req.Context(), err)
	}
	return nil, refusal(res, body)
}

// refusal judges an answer that is no 2xx: named is one whose JSON says what the
// error is, and a 401 or a 403 by a token's challenge too.
func refusal(res *http.Response, body []byte) error {
	var said struct {
		Error any `json:"error"`
	}
	challenged := res.Header.Get("WWW-Authenticate") != ""
	if (json.Unmarshal(body, &said) != nil || said.Error == nil) && !challenged {
		return &Nameless{Status: res.StatusCode, Text: string(body)}
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After")) // without one: at once
	return &Refused{Status: res.StatusCode, Text: string(body), Retry: time.Duration(seconds) * time.Second}
}

// message is what the clients read of JSON-RPC.
type message struct {
	ID     *int   `json:"id"`
	Method string `json:"method"`
	Params struct {
		Token    string  `json:"progressToken"`
		Progress float64 `json:"progress"`
	} `json:"params"`
	Result *struct {
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
		IsError bool `json:"isError"`
	} `json:"result"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// request makes a message with the next id, or the one of a notification.
func (w *web) request(method string, params map[string]any, notify bool) (id int, body []byte) {
	m := map[string]any{"jsonrpc": "2.0", "method": method}
	if params != nil {
		m["params"] = params
	}
	if !notify {
		w.last++
		m["id"] = w.last
	}
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers of ours
	}
	return w.last, body
}

func (w *web) initialize(version string) (id int, body []byte) {
	return w.request("initialize", map[string]any{
		"protocolVersion": version, "capabilities": map[string]any{},
		"clientInfo": map[string]any{"name": "soak", "version": "1"},
	}, false)
}

// params of tools/call.
func (a Ask) params(meta map[string]any) map[string]any {
	args := a.Args
	if args == nil {
		args = map[string]any{}
	}
	p := map[string]any{"name": a.Tool, "arguments": args}
	if meta == nil {
		meta = map[string]any{}
	}
	if a.Token != "" {
		meta["progressToken"] = a.Token
	}
	if len(meta) > 0 {
		p["_meta"] = meta
	}
	return p
}

// take adds a message to the reply; done with the answer to id.
func (r *Reply) take(data []byte, id int) (done bool, err error) {
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		return false, &Wrong{Want: "JSON-RPC", Got: string(data)}
	}
	switch {
	case m.Method == "notifications/progress":
		r.Steps, r.Tokens = append(r.Steps, m.Params.Progress), append(r.Tokens, m.Params.Token)
		return false, nil
	case m.Method != "":
		return false, nil
	case m.ID == nil && m.Error != nil:
		return true, &Refused{Status: http.StatusOK, Text: fmt.Sprintf("%d %s", m.Error.Code, m.Error.Message)}
	case m.ID == nil || *m.ID > id:
		return true, &Wrong{Want: fmt.Sprintf("the answer to %d", id), Got: string(data)}
	case *m.ID < id:
		return false, nil // late, to a question that was given up
	case m.Error != nil:
		return true, &Refused{Status: http.StatusOK, Text: fmt.Sprintf("%d %s", m.Error.Code, m.Error.Message)}
	case m.Result == nil:
		return true, &Wrong{Want: "a result", Got: string(data)}
	}
	for _, c := range m.Result.Content {
		r.Text += c.Text
	}
	return true, nil
}

// event is one event of a stream.
type event struct{ name, id, data string }

var errEnded = errors.New("the stream ended")

// nextEvent reads one event with data; comments are passed over. An event with
// an id and no data is given too: it is a place to come back to.
func nextEvent(r *bufio.Reader) (e event, err error) {
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return e, errEnded
		}
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			if e != (event{}) {
				return e, nil
			}
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data += value
		}
	}
}
