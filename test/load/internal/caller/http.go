package caller

import (
	"fmt"

	"gatehouse/test/load/internal/wire"
)

const (
	initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":` +
		`{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"gatehouse-load","version":"1"}}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	modernMeta  = `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"gatehouse-load","version":"1"},` +
		`"io.modelcontextprotocol/clientCapabilities":{}}`

	jsonHeader   = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
	modernHeader = jsonHeader + "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n"
)

// session is a client of 2025-03-26 to 2025-11-25: /mcp with a session.
type session struct {
	post   *wire.Conn
	path   string
	own    string // headers of every request, as complete lines
	header string
	number int64
	body   []byte
}

func (s *session) Open() error {
	resp, err := s.post.Do("POST", s.path, s.own+jsonHeader, []byte(initialize))
	if err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	if resp.Status != 200 {
		return fmt.Errorf("initialize: status %d: %.200s", resp.Status, resp.Body)
	}
	s.header = s.own + jsonHeader + "MCP-Protocol-Version: 2025-06-18\r\n"
	if resp.Session != "" {
		s.header += "Mcp-Session-Id: " + resp.Session + "\r\n"
	}
	resp, err = s.post.Do("POST", s.path, s.header, []byte(initialized))
	if err != nil {
		return fmt.Errorf("initialized: %w", err)
	}
	if resp.Status/100 != 2 {
		return fmt.Errorf("initialized: status %d: %.200s", resp.Status, resp.Body)
	}
	return nil
}

func (s *session) Call(seq int) (Verdict, error) {
	s.body = callBody(s.body[:0], s.number, seq, "")
	resp, err := s.post.Do("POST", s.path, s.header, s.body)
	return verdictOf(resp, err, s.number, seq)
}

func (s *session) Close() {
	if s.header != "" {
		_, _ = s.post.Do("DELETE", s.path, s.header, nil) // a server without DELETE ends it by age
	}
	s.post.Close()
}

// stateless is a client of 2026-07-28: each request stands alone.
type stateless struct {
	post   *wire.Conn
	path   string
	number int64
	body   []byte
}

func (s *stateless) Open() error { return nil }

func (s *stateless) Call(seq int) (Verdict, error) {
	s.body = callBody(s.body[:0], s.number, seq, modernMeta)
	resp, err := s.post.Do("POST", s.path, modernHeader, s.body)
	return verdictOf(resp, err, s.number, seq)
}

func (s *stateless) Close() { s.post.Close() }

// plain asks for a page that says ok: what a gate costs without MCP.
type plain struct {
	conn *wire.Conn
	path string
}

func (p *plain) Open() error { return nil }

func (p *plain) Call(int) (Verdict, error) {
	resp, err := p.conn.Do("GET", p.path, "", nil)
	if err != nil {
		return Lost, err
	}
	if resp.Status != 200 {
		return Refused, fmt.Errorf("status %d: %.200s", resp.Status, resp.Body)
	}
	if string(resp.Body) != "ok" {
		return Wrong, fmt.Errorf("answered %.200q", resp.Body)
	}
	return Good, nil
}

func (p *plain) Close() { p.conn.Close() }

// Echo is a call of 2026-07-28 that stands alone: its headers and its body.
func Echo(text string) (header string, body []byte) {
	body = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":%q}`, text)
	return modernHeader, append(append(body, modernMeta...), "}}"...)
}
