// Package caller is one MCP client in a closed loop: it opens a session, makes
// a call, waits for its answer, judges it, and makes the next. It promises
// that an answer is counted good only when it has the call's id and the text
// that nobody but this call sent. It must never know what it talks to.
package caller

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"gatehouse/test/load/internal/wire"
)

// Verdict is what an answer was worth.
type Verdict int

// The verdicts. Foreign is the worst: it shows what another caller sent.
const (
	Good    Verdict = iota
	Wrong           // not the text or the id that was asked for
	Foreign         // another caller's text
	Lost            // no answer in time
	Refused         // an HTTP status or a JSON-RPC error in place of an answer
)

// Caller is a client of one era. Call is made with rising seq.
type Caller interface {
	Open() error
	Call(seq int) (Verdict, error)
	Close()
}

// Mode names a client era.
type Mode string

// The three ways in which clients speak.
const (
	MCP       Mode = "/mcp"
	Stateless Mode = "stateless"
	SSE       Mode = "/sse"
	Plain     Mode = "GET" // no MCP: one request, the answer must be "ok"
)

// Timeout bounds the wait for one answer.
const Timeout = 5 * time.Second

var made atomic.Int64 // numbers callers, so that each has texts of its own

// New makes a caller; prefix is put in front of its paths.
func New(mode Mode, target wire.Target, prefix string) Caller {
	return NewPatient(mode, target, prefix, Timeout)
}

// NewPatient is New of one who waits so long for an answer.
func NewPatient(mode Mode, target wire.Target, prefix string, timeout time.Duration) Caller {
	number := made.Add(1)
	post := wire.New(target, timeout)
	switch mode {
	case SSE:
		return &sse{post: post, get: wire.New(target, Timeout), prefix: prefix, number: number}
	case Stateless:
		return &stateless{post: post, path: prefix + "/mcp", number: number}
	case Plain:
		return &plain{conn: post, path: prefix}
	}
	return &session{post: post, path: prefix + "/mcp", number: number}
}

// Rester is a caller that can give up all but its open stream.
type Rester interface{ Rest() }

const mark = "gatehouse-load." // starts every text that a caller sends

// text is what call seq of a caller sends and wants back.
func text(b []byte, number int64, seq int) []byte {
	b = append(b, mark...)
	b = strconv.AppendInt(b, number, 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(seq), 10)
	return append(b, '.')
}

// judge looks at bytes, not at decoded values: decoding would make the client
// the slow part. Ids count from 1 in every session, as real clients count, so
// only the text tells one caller's answer from another's.
func judge(body []byte, number int64, seq int) Verdict {
	var b [64]byte
	if bytes.Contains(body, text(b[:0], number, seq)) {
		if hasID(body, seq) && bytes.Contains(body, []byte(`"result"`)) {
			return Good
		}
		return Wrong
	}
	at := bytes.Index(body, []byte(mark))
	if at < 0 {
		if bytes.Contains(body, []byte(`"error"`)) {
			return Refused
		}
		return Wrong
	}
	own := strconv.AppendInt(append(b[:0], mark...), number, 10)
	if bytes.HasPrefix(body[at:], append(own, '.')) {
		return Wrong
	}
	return Foreign
}

// hasID finds "id":N as a member, with or without a space.
func hasID(body []byte, seq int) bool {
	var digits [24]byte
	want := strconv.AppendInt(digits[:0], int64(seq), 10)
	for rest := body; ; {
		at := bytes.Index(rest, []byte(`"id":`))
		if at < 0 {
			return false
		}
		rest = bytes.TrimLeft(rest[at+len(`"id":`):], " ")
		if bytes.HasPrefix(rest, want) && (len(rest) == len(want) || rest[len(want)] < '0' || rest[len(want)] > '9') {
			return true
		}
	}
}

func callBody(b []byte, number int64, seq int, meta string) []byte {
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = strconv.AppendInt(b, int64(seq), 10)
	b = append(b, `,"method":"tools/call","params":{"name":"echo","arguments":{"text":"`...)
	b = text(b, number, seq)
	b = append(b, `"}`...)
	b = append(b, meta...)
	return append(b, `}}`...)
}

// verdictOf judges an answer to a POST by its status and body.
func verdictOf(resp wire.Response, err error, number int64, seq int) (Verdict, error) {
	if err != nil {
		return Lost, err
	}
	if resp.Status != 200 {
		return Refused, fmt.Errorf("status %d: %.200s", resp.Status, resp.Body)
	}
	v := judge(resp.Body, number, seq)
	if v != Good {
		return v, fmt.Errorf("call %d of caller %d was answered %.300s", seq, number, resp.Body)
	}
	return Good, nil
}
