// Command child is the fast stdio MCP server of the load program: it echoes
// the argument "text" of tools/call, so that what is measured is the way to a
// child and not the child. It promises one line out for each request in, in
// order, and must never know who calls it.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		ProtocolVersion string `json:"protocolVersion"`
		Arguments       struct {
			Text json.RawMessage `json:"text"`
		} `json:"arguments"`
	} `json:"params"`
}

const (
	tool = `{"name":"echo","description":"Says it again",` +
		`"inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}`
	serverInfo = `"serverInfo":{"name":"fast-child","version":"1"}`
	caps       = `"capabilities":{"tools":{}}`
	cacheable  = `,"resultType":"complete","ttlMs":60000,"cacheScope":"public"`
)

func main() {
	modern := flag.Bool("modern", false, "speak 2026-07-28 and not the initialize handshake")
	burn := flag.Duration("burn", 0, "CPU time that a start costs, as that of a server in Node or Python does")
	flag.Parse()
	for end := cpuTime() + *burn; cpuTime() < end; {
		_ = sha256.Sum256(make([]byte, 16<<10))
	}
	if err := serve(os.Stdin, os.Stdout, *modern); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for nobody's own figures
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serve answers until the input ends. It flushes when no further line waits.
func serve(in io.Reader, out io.Writer, modern bool) error {
	r, w := bufio.NewReaderSize(in, 64<<10), bufio.NewWriterSize(out, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			answer(w, line, modern)
		}
		if r.Buffered() == 0 || err != nil {
			if ferr := w.Flush(); ferr != nil {
				return ferr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func answer(w io.Writer, line []byte, modern bool) {
	var req request
	if err := json.Unmarshal(line, &req); err != nil || req.ID == nil {
		return // a notification, or nothing that could be answered
	}
	result := resultOf(req, modern)
	if result == "" {
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`+"\n", req.ID)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", req.ID, result)
}

func resultOf(req request, modern bool) string {
	complete, listed := "", ""
	if modern {
		complete, listed = `,"resultType":"complete"`, cacheable
	}
	switch {
	case req.Method == "initialize" && !modern:
		version := req.Params.ProtocolVersion
		if version == "" {
			version = "2025-11-25"
		}
		return fmt.Sprintf(`{"protocolVersion":%q,%s,%s}`, version, caps, serverInfo)
	case req.Method == "server/discover" && modern:
		return `{"supportedVersions":["2026-07-28"],` + caps + `,` + serverInfo + cacheable + `}`
	case req.Method == "ping":
		return `{}`
	case req.Method == "tools/list":
		return `{"tools":[` + tool + `]` + listed + `}`
	case req.Method == "tools/call":
		return fmt.Sprintf(`{"content":[{"type":"text","text":%s}]%s}`, req.Params.Arguments.Text, complete)
	}
	return ""
}
