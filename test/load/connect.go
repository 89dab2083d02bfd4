package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/test/load/internal/report"
)

const connectIntro = "## The other end\n\nA client on stdio, a server in the load program over TLS on loopback, " +
	"every answer checked, medians of interleaved rounds. " +
	"RSS is what the program and all below it hold after the last round.\n\n"

// otherEnd is a program between stdio and the server.
type otherEnd struct {
	name  string
	argv  []string
	env   []string
	in    io.WriteCloser
	out   *bufio.Reader
	cmd   *exec.Cmd
	next  int
	rates map[int][]float64 // by calls in flight
}

func partConnect(ctx context.Context, b *bench) error {
	server := httptest.NewTLSServer(http.HandlerFunc(echoOverHTTP))
	defer server.Close()
	ca := filepath.Join(b.dir, "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		return err
	}
	url, env := server.URL+"/mcp", []string{"NODE_EXTRA_CA_CERTS=" + ca, "MCP_REMOTE_CONFIG_DIR=" + b.dir}
	flags := []string{"connect", "--ca", ca, "--header", "Authorization: Bearer x", url}
	ends := []*otherEnd{
		{name: "bridge connect", argv: append([]string{b.bridge()}, flags...)},
		{
			name: "bridge connect, the file without a server",
			argv: append([]string{filepath.Join(b.tools, "connect")}, flags...),
		},
		{name: "mcp-remote 0.15.1", env: env,
			argv: []string{"node", b.peer("mcp-remote/dist/proxy.js"), url, "--header", "Authorization: Bearer x"}},
	}
	for _, e := range ends {
		if err := e.open(ctx); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		defer e.close()
	}
	for range b.rounds {
		for _, n := range []int{1, 8} {
			for _, e := range ends {
				if err := e.measure(n, b.window); err != nil {
					return fmt.Errorf("%s: %w", e.name, err)
				}
			}
		}
	}
	text := connectIntro + report.Made(
		b.command,
	) + "| program | calls/s at 1 | calls/s at 8 | RSS MB |\n|---|---:|---:|---:|\n"
	for _, e := range ends {
		text += fmt.Sprintf(
			"| %s | %.0f | %.0f | %.1f |\n",
			e.name,
			median(e.rates[1]),
			median(e.rates[8]),
			float64(rss(e.cmd.Process.Pid))/1024,
		)
	}
	fmt.Print(text)
	return report.Write(b.out, "the other end", text)
}

// echoOverHTTP is the least server of Streamable HTTP.
func echoOverHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			Arguments struct{ Text string } `json:"arguments"`
		} `json:"params"`
	}
	if json.NewDecoder(r.Body).Decode(&m) != nil || m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if m.Method == "initialize" {
		_, _ = fmt.Fprintf(
			w,
			`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},`+
				`"serverInfo":{"name":"echo","version":"1"}}}`,
			m.ID,
		)
		return
	}
	_, _ = fmt.Fprintf(
		w,
		`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%q}]}}`,
		m.ID,
		m.Params.Arguments.Text,
	)
}

func (e *otherEnd) open(ctx context.Context) (err error) {
	e.rates = map[int][]float64{}
	e.cmd = exec.CommandContext(ctx, e.argv[0], e.argv[1:]...)
	e.cmd.Env = append(os.Environ(), e.env...)
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	e.out = bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		return err
	}
	hello := `{"jsonrpc":"2.0","id":"i","method":"initialize","params":` +
		`{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}` + "\n"
	if _, err := io.WriteString(e.in, hello); err != nil {
		return err
	}
	if _, err := e.out.ReadBytes('\n'); err != nil {
		return err
	}
	_, err = io.WriteString(e.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n")
	return err
}

func (e *otherEnd) close() {
	_ = e.in.Close()
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}

// measure keeps n calls in flight for the window.
func (e *otherEnd) measure(n int, window time.Duration) error {
	begin, done, open := time.Now(), 0, 0
	for open > 0 || time.Since(begin) < window {
		for open < n && time.Since(begin) < window {
			e.next++
			line := fmt.Sprintf(
				`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":"t%d."}}}`+"\n",
				e.next,
				e.next,
			)
			if _, err := io.WriteString(e.in, line); err != nil {
				return err
			}
			open++
		}
		line, err := e.out.ReadBytes('\n')
		if err != nil {
			return err
		}
		var m struct{ ID int }
		if json.Unmarshal(line, &m) != nil || !bytes.Contains(line, fmt.Appendf(nil, `"t%d."`, m.ID)) {
			return fmt.Errorf("a wrong answer: %.200s", line)
		}
		open--
		done++
	}
	e.rates[n] = append(e.rates[n], float64(done)/time.Since(begin).Seconds())
	return nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// rss is what the process holds, in KB. Neither program starts another.
func rss(pid int) (kb int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(value, &kb)
		}
	}
	return kb
}
