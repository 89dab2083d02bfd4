// Package wire is HTTP/1.1 over one kept connection, as cheap as a client can
// be, so that the load program is not what is measured. It promises to read
// answers with a length, in chunks, or until the end. It must never know MCP.
package wire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// Target is where to connect: an address, TLS or not, and the headers that
// every request carries (a cookie, a token, an assertion).
type Target struct {
	Addr   string
	TLS    *tls.Config // nil for plain HTTP
	Header map[string]string
	From   net.IP // address of this machine, nil for any: nginx counts each by itself
}

// Conn is one connection. It is not safe for concurrent use.
type Conn struct {
	target  Target
	timeout time.Duration
	conn    net.Conn
	r       *bufio.Reader
	fixed   []byte // the headers that never change
	out     []byte // reused for each request
}

// Response is an answer. Body is valid until the next request.
type Response struct {
	Status  int
	Session string // Mcp-Session-Id
	Body    []byte

	length  int // -1: until the end or in chunks
	chunked bool
	closing bool
}

// New makes a connection that dials when it is first used; no request takes
// longer than timeout.
func New(t Target, timeout time.Duration) *Conn {
	var fixed []byte
	fixed = fmt.Appendf(fixed, " HTTP/1.1\r\nHost: %s\r\n", t.Addr)
	for name, value := range t.Header {
		fixed = fmt.Appendf(fixed, "%s: %s\r\n", name, value)
	}
	return &Conn{target: t, timeout: timeout, fixed: fixed}
}

// Close ends the connection.
func (c *Conn) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *Conn) dial() error {
	d := &net.Dialer{Timeout: c.timeout}
	if c.target.From != nil {
		d.LocalAddr = &net.TCPAddr{IP: c.target.From}
	}
	var err error
	if c.target.TLS != nil {
		c.conn, err = tls.DialWithDialer(d, "tcp", c.target.Addr, c.target.TLS)
	} else {
		c.conn, err = d.Dial("tcp", c.target.Addr)
	}
	if err != nil {
		c.conn = nil // not a typed nil in the interface
		return err
	}
	c.r = bufio.NewReaderSize(c.conn, 4096)
	return nil
}

// Do sends one request and reads its whole answer. header is complete lines.
func (c *Conn) Do(method, path, header string, body []byte) (Response, error) {
	resp, err := c.start(method, path, header, body)
	if err != nil {
		c.Close()
		return resp, err
	}
	resp.Body, err = c.readBody(resp)
	if err != nil || resp.closing {
		c.Close()
	}
	return resp, err
}

// Stream sends a GET and returns its body as a reader that goes on for as
// long as the server writes. Deadline bounds the next reads.
func (c *Conn) Stream(path, header string) (*bufio.Reader, error) {
	resp, err := c.start("GET", path, header, nil)
	if err != nil {
		c.Close()
		return nil, err
	}
	if resp.Status != 200 {
		body, _ := c.readBody(resp)
		c.Close()
		return nil, fmt.Errorf("GET %s: status %d: %.200s", path, resp.Status, body)
	}
	if !resp.chunked {
		return c.r, nil
	}
	return bufio.NewReaderSize(httputil.NewChunkedReader(c.r), 2048), nil
}

// Deadline bounds what is read next on a stream.
func (c *Conn) Deadline(t time.Time) {
	if c.conn != nil {
		_ = c.conn.SetDeadline(t)
	}
}

func (c *Conn) start(method, path, header string, body []byte) (Response, error) {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return Response{}, err
		}
	}
	c.Deadline(time.Now().Add(c.timeout))
	b := append(c.out[:0], method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, c.fixed...)
	b = append(b, header...)
	if method == "POST" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	b = append(b, body...)
	c.out = b
	if _, err := c.conn.Write(b); err != nil {
		return Response{}, err
	}
	return c.readHead()
}

func (c *Conn) readHead() (Response, error) {
	resp := Response{length: -1}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return resp, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return resp, fmt.Errorf("not an HTTP answer: %.60q", line)
	}
	if resp.Status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return resp, fmt.Errorf("status line %.60q", line)
	}
	for {
		line, err = c.r.ReadSlice('\n')
		if err != nil {
			return resp, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return resp, nil
		}
		resp.header(line)
	}
}

// header keeps the few that matter, told apart by length first: it is cheap.
func (r *Response) header(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch len(name) {
	case len("content-length"): // also mcp-session-id
		if strings.EqualFold(string(name), "content-length") {
			r.length, _ = strconv.Atoi(string(value))
		} else if strings.EqualFold(string(name), "mcp-session-id") {
			r.Session = string(value)
		}
	case len("transfer-encoding"):
		r.chunked = r.chunked ||
			strings.EqualFold(string(name), "transfer-encoding") && strings.EqualFold(string(value), "chunked")
	case len("connection"):
		r.closing = r.closing || strings.EqualFold(string(name), "connection") && strings.EqualFold(string(value), "close")
	}
}

var errShort = errors.New("the answer ended early")

func (c *Conn) readBody(resp Response) ([]byte, error) {
	switch {
	case resp.Status == 204 || resp.Status == 304 || resp.length == 0:
		return nil, nil
	case resp.length > 0:
		body := make([]byte, resp.length)
		if _, err := io.ReadFull(c.r, body); err != nil {
			return nil, errShort
		}
		return body, nil
	case !resp.chunked:
		return io.ReadAll(c.r)
	}
	body, err := io.ReadAll(httputil.NewChunkedReader(c.r))
	if err != nil {
		return nil, err
	}
	_, err = c.r.ReadSlice('\n') // the empty line after the last chunk
	return body, err
}
