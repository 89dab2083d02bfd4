package bridge_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The stdio server behind the bridge: a tool for each fault. It writes raw
// lines, for a proper SDK cannot misbehave.

type childRequest struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		ProtocolVersion string          `json:"protocolVersion"`
		Name            string          `json:"name"`
		RequestID       json.RawMessage `json:"requestId"`
		Level           string          `json:"level"`
		URI             string          `json:"uri"`
		Arguments       struct {
			Text string `json:"text"`
			N    int    `json:"n"`
		} `json:"arguments"`
		Meta struct {
			Token json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

type childServer struct {
	mu        sync.Mutex
	told      []string // what the bridge said that is no call
	answers   map[string]chan string
	cancelled map[string]chan struct{}
}

func serveChild() {
	if words := os.Getenv("GATEHOUSE_TEST_CHILD_DIES"); words != "" {
		fmt.Fprintln(os.Stderr, words)
		os.Exit(4)
	}
	s := &childServer{answers: map[string]chan string{}, cancelled: map[string]chan struct{}{}}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r childRequest
		if json.Unmarshal(line, &r) == nil {
			s.take(&r)
		}
	}
}

func (s *childServer) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...)
}

func (s *childServer) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, what)
}

func (s *childServer) result(id json.RawMessage, result string) {
	s.say(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}

func (s *childServer) take(r *childRequest) {
	switch {
	case r.Method == "" && r.ID != nil:
		s.mu.Lock()
		ch := s.answers[string(r.ID)]
		s.mu.Unlock()
		if ch != nil {
			ch <- string(r.Result) + string(r.Error)
		}
	case r.Method == "initialize":
		s.note("initialize")
		version := r.Params.ProtocolVersion
		if v := os.Getenv("GATEHOUSE_TEST_CHILD_VERSION"); v != "" {
			version = v
		}
		s.result(
			r.ID,
			fmt.Sprintf(
				`{"protocolVersion":%q,"capabilities":{"tools":{},"logging":{},"resources":{"subscribe":true}},`+
					`"serverInfo":{"name":"faulty","version":"1"}}`,
				version,
			),
		)
	case r.Method == "notifications/cancelled":
		s.note("cancelled")
		s.mu.Lock()
		if ch := s.cancelled[string(r.Params.RequestID)]; ch != nil {
			close(ch)
			delete(s.cancelled, string(r.Params.RequestID))
		}
		s.mu.Unlock()
	case r.ID == nil:
		s.note(r.Method)
	case r.Method == "ping":
		s.result(r.ID, `{}`)
	case r.Method == "logging/setLevel":
		s.note("level " + r.Params.Level)
		s.result(r.ID, `{}`)
	case r.Method == "resources/subscribe":
		s.note("subscribe " + r.Params.URI)
		s.result(r.ID, `{}`)
	case r.Method == "tools/list":
		s.result(r.ID, `{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}`)
	case r.Method == "tools/call":
		go s.call(r)
	default:
		s.say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, r.ID)
	}
}

func (s *childServer) text(id json.RawMessage, text string) {
	raw, _ := json.Marshal(text)
	s.result(id, `{"content":[{"type":"text","text":`+string(raw)+`}]}`)
}

func (s *childServer) call(r *childRequest) {
	a := r.Params.Arguments
	switch r.Params.Name {
	case "echo":
		s.text(r.ID, a.Text)
	case "length":
		s.text(r.ID, fmt.Sprint(len(a.Text)))
	case "pid":
		s.text(r.ID, fmt.Sprint(os.Getpid()))
	case "user":
		s.text(r.ID, os.Getenv("MCP_USER_ID"))
	case "credential": // a file of the folder for it, and its mode
		path := filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), a.Text)
		secret, err := os.ReadFile(path)
		if info, statErr := os.Stat(path); err == nil && statErr == nil {
			s.text(r.ID, fmt.Sprintf("%s %o %s", secret, info.Mode().Perm(), path))
			return
		}
		s.text(r.ID, fmt.Sprint(err))
	case "environ":
		s.text(r.ID, strings.Join(os.Environ(), "\n"))
	case "told":
		s.mu.Lock()
		told := strings.Join(s.told, ", ")
		s.mu.Unlock()
		s.text(r.ID, told)
	case "die":
		fmt.Fprintln(os.Stderr, a.Text)
		os.Exit(3)
	case "hang":
		gone := make(chan struct{})
		s.mu.Lock()
		s.cancelled[string(r.ID)] = gone
		s.mu.Unlock()
		s.note("hanging")
		<-gone
	case "garbage":
		s.say("this is no JSON\n{\"half\": \n\xff\xfe\n[1,2\n{}")
		s.text(r.ID, "after the garbage")
	case "flood":
		big := strings.Repeat("f", 1<<16)
		for range a.N {
			s.say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%s"}}`, big)
		}
		s.note("flooded")
		fmt.Fprintln(os.Stderr, "the flood is over")
		s.text(r.ID, "flooded")
	case "big":
		s.mu.Lock()
		defer s.mu.Unlock()
		_, _ = fmt.Fprintf(os.Stdout, `{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"`, r.ID)
		_, _ = os.Stdout.WriteString(strings.Repeat("b", a.N))
		_, _ = os.Stdout.WriteString(`"}]}}` + "\n")
	case "endless":
		s.mu.Lock()
		for {
			if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	case "progress":
		for i := range a.N {
			s.say(
				`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`,
				r.Params.Meta.Token,
				i,
			)
			time.Sleep(50 * time.Millisecond)
		}
		s.text(r.ID, "done")
	case "hasty": // one progress, and the answer in the same write
		s.say(
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`+"\n"+
				`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"done"}]}}`,
			r.Params.Meta.Token, r.ID,
		)
	case "ask":
		s.text(r.ID, s.ask(a.Text))
	case "shout": // n lines on standard error, more than anybody may read
		for range a.N {
			fmt.Fprintln(os.Stderr, strings.Repeat("!", 1<<10))
		}
		s.text(r.ID, "shouted")
	case "nag": // asks n times and reads no more
		s.mu.Lock()
		out := bufio.NewWriterSize(os.Stdout, 1<<16)
		for i := range a.N {
			_, _ = fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%d,"method":"roots/list"}`+"\n", i)
		}
		_ = out.Flush()
		fmt.Fprintln(os.Stderr, "nagged")
		select {} // with the lock: nothing more is answered
	case "family":
		s.text(r.ID, family(a.Text == "apart"))
	}
}

// ask asks the client and returns what it answered.
func (s *childServer) ask(id string) string {
	ch := make(chan string, 1)
	s.mu.Lock()
	s.answers[`"`+id+`"`] = ch
	s.mu.Unlock()
	s.say(
		`{"jsonrpc":"2.0","id":%q,"method":"elicitation/create","params":`+
			`{"message":"for %s","requestedSchema":{"type":"object","properties":{}}}}`,
		id, id,
	)
	return <-ch
}

// family starts a grandchild, in the child's group or in a session of its own.
func family(apart bool) string {
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: apart}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	return fmt.Sprint(cmd.Process.Pid)
}
