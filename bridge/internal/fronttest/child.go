package fronttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// How the child behaves. Any other word is the version that it answers
// initialize with.
const (
	Plain   = "plain"   // takes the version that it is offered
	Mute    = "mute"    // never says a word
	Refuses = "refuses" // answers initialize with an error
)

const childMode = "GATEHOUSE_FRONT_CHILD"

type request struct {
	ID     json.RawMessage
	Method string
	Params struct {
		ProtocolVersion string
		Name            string
		URI             string
		Arguments       struct {
			Text string
			N    int
		}
		Meta struct{ ProgressToken json.RawMessage } `json:"_meta"`
	}
	Result json.RawMessage
}

// stdio is the server behind the gate. It writes raw lines.
type stdio struct {
	mode  string
	told  []string          // notifications, and the calls that hang
	asked []json.RawMessage // calls that wait for the client's answer
	begun bool
}

func serveChild(mode string) {
	s := &stdio{mode: mode}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if json.Unmarshal(line, &r) == nil && mode != Mute {
			s.take(&r)
		}
	}
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (s *stdio) take(r *request) {
	switch {
	case r.Method == "":
		s.told = append(s.told, "answered")
		if len(s.asked) > 0 {
			text(s.asked[0], string(r.Result))
			s.asked = s.asked[1:]
		}
	case r.ID == nil:
		s.told = append(s.told, r.Method)
	case r.Method == "initialize":
		s.initialize(r)
	case strings.HasPrefix(r.Method, "resources/"):
		s.told = append(s.told, r.Method)
		say(`{"jsonrpc":"2.0","id":%s,"result":{}}`, r.ID)
	case r.Method == "tools/call":
		s.call(r)
	default:
		say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"the child knows no such method"}}`, r.ID)
	}
}

func (s *stdio) initialize(r *request) {
	version, again := s.mode, s.begun
	s.begun = true
	switch {
	case s.mode == Refuses || again:
		say(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"not today"}}`, r.ID)
		return
	case s.mode == Plain:
		version = r.Params.ProtocolVersion
	}
	say(
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"before initialize is answered"}}`,
	)
	say(
		`{"jsonrpc":"2.0","id":%s,"result":{"capabilities":{"experimental":{"x":{"protocolVersion":"2024-11-05"}}},`+
			`"protocolVersion":%q,`+
			`"serverInfo":{"name":"front","version":"1"}}}`,
		r.ID,
		version,
	)
}

func text(id json.RawMessage, text string) {
	raw, _ := json.Marshal(text)
	say(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%s}]}}`, id, raw)
}

func log(text string) {
	say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%q}}`, text)
}

func (s *stdio) call(r *request) {
	a := r.Params.Arguments
	switch r.Params.Name {
	case "echo":
		text(r.ID, a.Text)
	case "told":
		text(r.ID, strings.Join(s.told, " "))
	case "big":
		text(r.ID, strings.Repeat("b", a.N))
	case "progress": // n times, each with a text, then the answer
		for i := range a.N {
			say(
				`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"message":%q}}`,
				r.Params.Meta.ProgressToken, i, a.Text,
			)
		}
		text(r.ID, "done")
	case "later": // n lines that belong to no call
		text(r.ID, "soon")
		for i := range a.N {
			log(fmt.Sprintf("%s %d", a.Text, i))
		}
	case "loud": // a line of n bytes that belongs to no call, and a hundred more
		text(r.ID, "soon")
		log(strings.Repeat("z", a.N))
		for range 100 {
			log(strings.Repeat("z", 4<<10))
		}
	case "half": // one progress and never an answer
		say(
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":0}}`,
			r.Params.Meta.ProgressToken,
		)
	case "ask":
		s.asked = append(s.asked, r.ID)
		say(`{"jsonrpc":"2.0","id":"question","method":"elicitation/create","params":{"message":%q}}`, a.Text)
	case "user":
		text(r.ID, os.Getenv("MCP_USER_ID"))
	case "roles":
		text(r.ID, os.Getenv("MCP_USER_ROLES"))
	case "touch":
		say(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q,"n":%d}}`, a.Text, a.N)
		text(r.ID, "touched")
	case "stray": // progress of no call
		say(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"nobody's","progress":1}}`)
		text(r.ID, "strayed")
	case "withdraw": // what was asked
		say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"question"}}`)
		text(r.ID, "withdrawn")
	case "die":
		fmt.Fprintln(os.Stderr, a.Text)
		os.Exit(3)
	case "hang":
		s.told = append(s.told, "hanging")
	}
}
