package cost

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

const childMode = "GATEHOUSE_COST_CHILD"

// say is what the child is to write: of a place, a line with the value or the
// members in it.
var places = map[string]func(id, value, inside string) string{
	"result": func(id, _, inside string) string { return answer(id, "{"+inside+"}") },
	"content": func(id, value, _ string) string {
		return answer(id, `{"content":[{"type":"text","text":"t"}],"structuredContent":`+value+`}`)
	},
	"isError": func(id, value, _ string) string { return answer(id, `{"isError":`+value+`}`) },
	"meta":    func(id, _, inside string) string { return answer(id, `{"content":[],"_meta":{`+inside+`}}`) },
	"task":    func(id, value, _ string) string { return answer(id, `{"task":{"taskId":`+value+`}}`) },
	"error": func(id, value, _ string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"error":{"code":-1,"message":"m","data":` + value + `}}`
	},
	"error inside": func(id, _, inside string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"error":{` + inside + `}}`
	},
	"top": func(id, _, inside string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"result":{},` + inside + `}`
	},
	"not JSON": func(id, value, _ string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"result":[` + value + `,NaN]}`
	},
	"log": func(id, value, _ string) string {
		return `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":` + value + "}}\n" + answer(
			id,
			"{}",
		)
	},
	"progress": func(id, _, inside string) string {
		return `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + id + "," + inside +
			"}}\n" + answer(id, "{}")
	},
	"subscription": func(id, _, inside string) string {
		return `{"jsonrpc":"2.0","method":"notifications/x","params":` +
			`{"_meta":{"io.modelcontextprotocol/subscriptionId":1,` + inside + "}}}\n" + answer(id, "{}")
	},
	"question": func(id, value, _ string) string {
		return `{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"messages":` + value + "}}\n" + answer(
			id,
			"{}",
		)
	},
	"batch": func(id, value, _ string) string { return "[" + answer(id, "{}") + `,` + value + "]" },
}

// takesMembers tells whether it is the members that stand in a place.
func takesMembers(place string) bool {
	return strings.Contains(places[place]("1", "value", "members"), "members")
}

// floods are lines without end, each hostile line beside a plain one of the same
// length: they are held to each other.
var floods = map[string]string{
	"plain":       `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"line"}}`,
	"garbage":     strings.Repeat("x", 90),
	"no version":  `{"id":99999,"method":"notifications/message","params":{"level":"info","data":"line here"}}`,
	"strays":      `{"jsonrpc":"2.0","id":99999,"result":{"content":[{"type":"text","text":"nobody asked it"}]}}`,
	"odd strays":  `{"jsonrpc":"2.0","id":"99999","result":{"content":[{"type":"text","text":"nobody asked"}]}}`,
	"nulls":       `{"jsonrpc":"2.0","id":99999,"method":null,"result":{"content":[1,2,3,4,5]},"error":null}   `,
	"questions":   `{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"messages":[1,2,3]}} `,
	"no progress": `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"nobody's own"}}`,
}

const floodLines = 60_000

func answer(id, result string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"result":` + result + `}`
}

// serveChild answers each request: a call of say with what it asks for, a list
// of tools with what was asked for before, all else with {}.
func serveChild() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	tools := "[]"
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		id := idOf(line)
		if id == "" {
			continue
		}
		text := answer(id, "{}")
		var m struct {
			Method string
			Params struct {
				Name      string
				Arguments struct{ Place, Value, Inside string }
			}
		}
		if len(line) < 4096 && json.Unmarshal(line, &m) == nil {
			a := m.Params.Arguments
			switch {
			case m.Method == "initialize":
				text = answer(
					id,
					`{"protocolVersion":"2025-06-18","capabilities":{"resources":{"subscribe":true}},`+
						`"serverInfo":{"name":"cost","version":"1"}}`,
				)
			case m.Method == "tools/list":
				text = answer(id, `{"tools":`+tools+`}`)
			case m.Params.Name == "tools":
				tools = shape(a.Value, false)
			case m.Params.Name == "flood":
				text = strings.Repeat(floods[a.Place]+"\n", floodLines) + text
			case m.Params.Name == "say":
				text = places[a.Place](id, shape(a.Value, false), shape(a.Inside, true))
			}
		}
		_, _ = fmt.Fprintln(out, text)
		_ = out.Flush()
	}
}

func shape(name string, object bool) string {
	switch {
	case name == "text":
		return text(size)
	case name == "tools":
		return tools(size)
	case name == "" || name == "plain":
		return plain(size)
	case object:
		return members[name](size)
	}
	return values[name](size)
}

// idOf finds the id of a request that begins as the bridge writes it.
func idOf(line []byte) string {
	head := line[:min(len(line), 200)]
	i := bytes.Index(head, []byte(`"id":`))
	if i < 0 || !bytes.Contains(head, []byte(`"method":`)) {
		return ""
	}
	rest := head[i+5:]
	if n := bytes.IndexAny(rest, ",}"); n > 0 {
		return string(rest[:n])
	}
	return ""
}
