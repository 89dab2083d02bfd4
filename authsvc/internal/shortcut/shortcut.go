// Package shortcut answers the one request that comes in front of every other
// where its answer is ready, before net/http has made a Request of it.
//
// It stands between a listener and an http.Server and looks only at the bytes
// that come while a connection is idle. If they are exactly one head for its
// path, of a form that leaves no choice in reading it, Answer may write the
// response; the same connection then waits for the next head. Everything else
// reaches net/http untouched, and a connection on which net/http may hold bytes
// that were not seen here is net/http's alone from then on.
//
// The package must never know what a verdict is: it only knows heads.
package shortcut

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"time"
)

// Answer appends a whole response to dst, or leaves dst alone and reports that
// it has none. The values are those of the only such header, "" for no header.
type Answer func(dst []byte, authorization, cookie string) ([]byte, bool)

// Listener wraps the connections of another. Its http.Server needs ConnState
// as its hook.
type Listener struct {
	net.Listener
	Path   string
	Idle   time.Duration // of a connection between two requests, as the server's IdleTimeout
	Answer Answer
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: inner, l: l}, nil
}

// ConnState is the http.Server's hook: it tells a connection that its last
// request is over.
func ConnState(c net.Conn, state http.ConnState) {
	if c, ok := c.(*conn); ok && state == http.StateIdle && !c.alone {
		c.at, c.extended = between, time.Time{}
	}
}

type position int

const (
	first   position = iota // net/http must see one request before it counts a connection as idle
	between                 // the next byte begins a head
	inside                  // of a request that is net/http's
)

type conn struct {
	net.Conn
	l        *Listener
	at       position
	early    []byte    // read while a request was inside: its body, or a byte of the next head that net/http looks for
	alone    bool      // net/http reads on by itself
	extended time.Time // when the deadlines were last put off
}

// Read answers what it can and returns what it cannot.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n == 0 || err != nil || c.alone {
			return n, err
		}
		if c.at == inside {
			c.early = append(c.early, p[:n]...)
			c.alone = len(c.early) > 1 // one byte is joined to what comes, and such a head is never answered here
			return n, nil
		}
		response, ok := c.look(p, n)
		if !ok {
			return n, nil
		}
		if err := c.extend(); err != nil {
			return 0, err
		}
		if _, err := c.Conn.Write(response); err != nil {
			return 0, err
		}
	}
}

// look builds the response to the head that ends in p[:n], in p, or notes what
// net/http will do with that head.
func (c *conn) look(p []byte, n int) (response []byte, ok bool) {
	head := p[:n]
	if len(c.early) > 0 {
		head = append(c.early, head...)
	}
	if !isHead(head) {
		c.at, c.alone = inside, true
		return nil, false
	}
	authorization, cookie, plain := parse(string(head), c.l.Path)
	if plain && c.at == between && len(c.early) == 0 {
		if response, ok = c.l.Answer(p[:0], authorization, cookie); ok {
			return response, true
		}
	}
	c.at, c.early = inside, nil
	c.alone = !plain && endsSooner(head)
	return nil, false
}

// extend puts off both deadlines, which net/http set at its own last request:
// seldom, for it costs more than the rest of an answer.
func (c *conn) extend() error {
	now := time.Now()
	if now.Sub(c.extended) < c.l.Idle/10 {
		return nil
	}
	c.extended = now
	return c.SetDeadline(now.Add(c.l.Idle))
}

var endOfHead = []byte("\r\n\r\n")

// isHead reports whether these are the bytes of one head and no more.
func isHead(b []byte) bool {
	i := bytes.Index(b, endOfHead)
	return i >= 0 && i == len(b)-len(endOfHead)
}

// endsSooner reports whether a head has ended before its last bytes for a reader
// that takes a bare line feed for the end of a line, as net/http does (RFC 9112,
// 2.2): the rest is the next head, and what comes then may be its body.
func endsSooner(head []byte) bool {
	return bytes.Contains(head, []byte("\n\n")) || bytes.Index(head, endOfHead[1:]) < len(head)-len(endOfHead[1:])
}

// withNetHTTP are the headers that change how a message is framed or answered.
var withNetHTTP = []string{
	"connection", "content-length", "dpop", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
}

// parse reads a head as RFC 9112 says, and takes none that it could be wrong
// about: a name that is not plain, a value with a byte that is not printable
// ASCII, a header that is not there once.
func parse(head, path string) (authorization, cookie string, ok bool) {
	rest, ok := strings.CutPrefix(head, "GET "+path+" HTTP/1.1\r\n")
	hosts := 0
	for ok && rest != "\r\n" {
		var line, name, value string
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok = strings.Cut(line, ":")
		value = strings.Trim(value, " ")
		ok = ok && plainName(name) && printable(value)
		switch {
		case strings.EqualFold(name, "host"):
			ok = ok && plainHost(value)
			hosts++
		case strings.EqualFold(name, "authorization"):
			ok = ok && authorization == "" && value != ""
			authorization = value
		case strings.EqualFold(name, "cookie"):
			ok = ok && cookie == "" && value != ""
			cookie = value
		case isOneOf(name, withNetHTTP):
			ok = false
		}
	}
	return authorization, cookie, ok && hosts == 1
}

func isOneOf(name string, list []string) bool {
	for _, one := range list {
		if len(one) == len(name) && strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}

func plainName(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20 // folds the letters, and leaves a dash
		if (c < 'a' || c > 'z') && name[i] != '-' {
			return false
		}
	}
	return name != ""
}

func plainHost(host string) bool {
	for i := range len(host) {
		c := host[i] | 0x20
		if (c < 'a' || c > 'z') && (host[i] < '-' || host[i] > ':' || host[i] == '/') {
			return false
		}
	}
	return host != ""
}

func printable(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}
