//go:build conformance

package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// prefix is that of one server's names at an endpoint of several. The suite
// knows its tools and prompts by their own names only, so each name is mapped
// on its way, and nothing else is.
type prefix string

type object = map[string]json.RawMessage

// before returns the address of what stands between the suite and the endpoint.
func (p prefix) before(t *testing.T, endpoint string) string {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	base := &url.URL{Scheme: to.Scheme, Host: to.Host}
	between := httptest.NewServer(&httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(base)
			r.Out.Host = r.In.Host // a scenario is about it
			p.request(r.Out)
		},
		ModifyResponse: p.response,
	})
	t.Cleanup(func() {
		between.CloseClientConnections() // a stream of the suite may still stand
		between.Close()
	})
	return between.URL + to.Path
}

func (p prefix) request(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	var m struct{ Method string }
	_ = json.Unmarshal(body, &m) // what cannot be read goes on as it is
	switch m.Method {
	case "tools/call", "prompts/get":
		body = within(body, "params", func(params []byte) []byte { return within(params, "name", p.add) })
		if name := r.Header.Get("Mcp-Name"); name != "" {
			r.Header.Set("Mcp-Name", p.header(name))
		}
	case "completion/complete":
		body = within(body, "params", func(params []byte) []byte {
			return within(params, "ref", func(ref []byte) []byte { return within(ref, "name", p.add) })
		})
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// header is an Mcp-Name, which may be in base64 (2026-07-28, basic/transports).
func (p prefix) header(name string) string {
	const begins, ends = "=?base64?", "?="
	if coded, ok := strings.CutPrefix(name, begins); ok && strings.HasSuffix(coded, ends) {
		if plain, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(coded, ends)); err == nil {
			return begins + base64.StdEncoding.EncodeToString(append([]byte(p), plain...)) + ends
		}
	}
	return string(p) + name
}

func (p prefix) add(name []byte) []byte {
	var text string
	if json.Unmarshal(name, &text) != nil {
		return name
	}
	added, _ := json.Marshal(string(p) + text) // a string
	return added
}

func (p prefix) response(r *http.Response) error {
	switch kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind {
	case "application/json":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		_ = r.Body.Close()
		body = p.message(body)
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	case "text/event-stream":
		r.Body = p.events(r.Body)
	}
	return nil
}

// events maps a stream line by line, as it comes.
func (p prefix) events(from io.ReadCloser) io.ReadCloser {
	const data = "data: "
	out, in := io.Pipe()
	go func() {
		lines := bufio.NewReader(from)
		for {
			line, err := lines.ReadBytes('\n')
			if message, ok := bytes.CutPrefix(line, []byte(data)); ok && err == nil {
				line = append([]byte(data), p.message(bytes.TrimSpace(message))...)
				line = append(line, '\n')
			}
			if _, failed := in.Write(line); failed != nil {
				return // the reader has closed it
			}
			if err != nil {
				_ = in.CloseWithError(err)
				return
			}
		}
	}()
	return stream{out, from}
}

type stream struct {
	*io.PipeReader
	from io.Closer
}

func (s stream) Close() error {
	_ = s.PipeReader.Close()
	return s.from.Close()
}

// message leaves a list with the server's own tools or prompts.
func (p prefix) message(body []byte) []byte {
	return within(body, "result", func(result []byte) []byte {
		return within(within(result, "tools", p.own), "prompts", p.own)
	})
}

func (p prefix) own(list []byte) []byte {
	var all []json.RawMessage
	if json.Unmarshal(list, &all) != nil {
		return list
	}
	mine := []json.RawMessage{}
	for _, item := range all {
		var of struct{ Name string }
		if json.Unmarshal(item, &of) != nil {
			return list
		}
		name, ok := strings.CutPrefix(of.Name, string(p))
		if !ok {
			continue
		}
		own, _ := json.Marshal(name) // a string
		mine = append(mine, within(item, "name", func([]byte) []byte { return own }))
	}
	mapped, _ := json.Marshal(mine) // of what came as JSON
	return mapped
}

// within changes a member of an object that has it, and nothing where text is
// none.
func within(text []byte, member string, change func([]byte) []byte) []byte {
	var of object
	if json.Unmarshal(text, &of) != nil || of[member] == nil {
		return text
	}
	of[member] = change(of[member])
	changed, _ := json.Marshal(of) // of what came as JSON
	return changed
}
