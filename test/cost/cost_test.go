package cost

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

const (
	most      = 3.0 // times the CPU of a plain message of the same size
	noise     = 1.4 // what a busy machine measures beyond that; a cost that is not linear is far above
	patience  = 30 * time.Second
	textBound = 1 << 10 // bytes of an error's text
)

var (
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the shapes that are tried")
	budget = flag.Duration("budget", 16*time.Second, "for trying shapes")
)

var program string

func TestMain(m *testing.M) {
	if os.Getenv(childMode) != "" {
		serveChild()
		return
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cost")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "bridge")
	build := exec.Command("go", "build", "-o", program, "gatehouse/bridge")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// policy asks about the arguments of each call, and filters lists.
const policy = `default: allow
rules:
  - {name: no, tools: ["*"], deny: true, when: '"text" in args && args.text == "no"'}
  - {name: hidden, tools: ["a"], prompts: ["a"], resources: ["a"], deny: true}
`

// bridge is the program at work.
type bridge struct {
	t       *testing.T
	url     string
	pid     int
	session string         // of Streamable HTTP
	post    string         // where a client of 2024-11-05 posts
	events  *bufio.Scanner // its stream
	next    int
}

func start(t *testing.T) *bridge {
	t.Helper()
	dir := t.TempDir()
	rules := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(rules, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeport.Addr(t)
	cmd := exec.Command(
		program,
		"--listen",
		addr,
		"--admin-listen",
		freeport.Addr(t),
		"--policy",
		rules,
		"--audit",
		filepath.Join(dir, "audit"),
		"--max-queue",
		"67108864",
		"--log-level",
		"error",
		"--",
		os.Args[0],
	)
	cmd.Env = append(os.Environ(), childMode+"=1")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	b := &bridge{t: t, url: "http://" + addr, pid: cmd.Process.Pid}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(b.url + "/health")
		if err == nil {
			_ = res.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	b.open()
	return b
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":` +
	`{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"cost","version":"1"}}}`

// open opens a session of each kind.
func (b *bridge) open() {
	b.t.Helper()
	res, err := http.Post(b.url+"/mcp", "application/json", strings.NewReader(initialize))
	if err != nil {
		b.t.Fatal(err)
	}
	_ = res.Body.Close()
	b.session = res.Header.Get("Mcp-Session-Id")
	stream, err := http.Get(b.url + "/sse")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = stream.Body.Close() })
	b.events = bufio.NewScanner(stream.Body)
	b.events.Buffer(nil, 32<<20)
	b.post = b.url + b.hear("/message")
	if _, err := b.send("sse", initialize, ""); err != nil {
		b.t.Fatal(err)
	}
	b.hear(`"id":0,`)
}

// hear waits for an event of the stream of 2024-11-05 that holds the text.
func (b *bridge) hear(text string) string {
	b.t.Helper()
	for b.events.Scan() {
		if line, ok := strings.CutPrefix(b.events.Text(), "data: "); ok &&
			strings.Contains(line[:min(len(line), 1000)]+line[max(0, len(line)-1000):], text) {
			return line
		}
	}
	b.t.Fatalf("the stream ended: %v", b.events.Err())
	return ""
}

// cpu is the time that the bridge has used, in nanoseconds of its threads.
func (b *bridge) cpu() time.Duration {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", b.pid))
	total := time.Duration(0)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(ns, 10, 64)
		total += time.Duration(n)
	}
	return total
}

// send posts a body as a client of the era does.
func (b *bridge) send(era, body, method string) (answer string, err error) {
	url := b.url + "/mcp"
	if era == "sse" {
		url = b.post
	}
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	switch era {
	case "streamable":
		req.Header.Set("Mcp-Session-Id", b.session)
	case "stateless":
		req.Header.Set("Mcp-Protocol-Version", "2026-07-28")
		req.Header.Set("Mcp-Method", method)
		req.Header.Set("Mcp-Name", nameOf(body))
	}
	client := http.Client{Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return string(raw), err
}

// message is a kind of message, with a place for a value or for members.
type message struct {
	method string
	object bool   // what is hostile is members
	text   string // %d is the id, %s the hostile part
}

// meta is what 2026-07-28 wants; the other eras do not mind it.
const meta = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}`

var messages = []message{
	{
		"tools/call",
		false,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","_meta":{META},"arguments":{"text":%s}}}`,
	},
	{
		"tools/call",
		true,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","_meta":{META},"arguments":{%s}}}`,
	},
	{
		"tools/call",
		true,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","_meta":{META},"arguments":{"n":1},%s}}`,
	},
	{"tools/call", true, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","_meta":{META,%s}}}`},
	{"tools/call", true, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","_meta":{META}},%s}`},
	{"tools/call", false, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%s,"_meta":{META}}}`},
	{
		"tools/call",
		false,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","_meta":{META,"progressToken":%s}}}`,
	},
	{
		"tools/call",
		false,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","_meta":{META},"requestState":%s}}`,
	},
	{
		"tools/call",
		true,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":` +
			`{"name":"echo","_meta":{META},"requestState":"x","inputResponses":{%s}}}`,
	},
	{"resources/read", false, `{"jsonrpc":"2.0","id":%d,"method":"resources/read","params":{"uri":%s,"_meta":{META}}}`},
	{
		"subscriptions/listen",
		false,
		`{"jsonrpc":"2.0","id":%d,"method":"subscriptions/listen","params":` +
			`{"_meta":{META},"notifications":{"resourceSubscriptions":%s}}}`,
	},
	{
		"subscriptions/listen",
		true,
		`{"jsonrpc":"2.0","id":%d,"method":"subscriptions/listen","params":` +
			`{"_meta":{META},"notifications":{%s,"resourceSubscriptions":[1]}}}`,
	},
	{
		"completion/complete",
		true,
		`{"jsonrpc":"2.0","id":%d,"method":"completion/complete","params":` +
			`{"_meta":{META},"ref":{"type":"ref/prompt","name":"a",%s}}}`,
	},
	{"tasks/get", false, `{"jsonrpc":"2.0","id":%d,"method":"tasks/get","params":{"taskId":%s,"_meta":{META}}}`},
	{"vendor/x", false, `{"jsonrpc":"2.0","id":%d,"method":"vendor/x","params":%s}`},
	{"", false, `{"jsonrpc":"2.0","id":%d,"result":%s}`},
	{"", true, `{"jsonrpc":"2.0","id":%d,"error":null,"result":{},%s}`},
	{"notifications/x", false, `{"jsonrpc":"2.0","method":"notifications/x","params":{"_":%d,"x":%s}}`},
	{
		"notifications/cancelled",
		false,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"_":%d,"requestId":%s}}`,
	},
	{"x", false, `[{"jsonrpc":"2.0","id":%d,"method":"x"},%s]`},
}

func (m message) with(id int, part string) string {
	return strings.Replace(fmt.Sprintf(strings.Replace(m.text, "%s", "%%s", 1), id), "%s", part, 1)
}

// once sends the message and is the CPU that it cost.
func (b *bridge) once(era string, m message, part string) (time.Duration, string) {
	b.t.Helper()
	b.next++
	body := strings.Replace(m.with(b.next, part), "META", meta, 1)
	before := b.cpu()
	answer, err := b.send(era, body, m.method)
	if err != nil {
		b.t.Fatalf("%s, %s: %v", era, m.text, err)
	}
	if era == "sse" && answer == "" && strings.Contains(m.text, `"id":%d,"method"`) {
		answer = b.hear(fmt.Sprintf(`"id":%d,`, b.next))
	}
	return b.cpu() - before, answer
}

var eras = []string{"streamable", "stateless", "sse"}

// TestClients holds messages of clients to the bound, in all fronts: each message
// and each shape at least once, then others by chance.
func TestClients(t *testing.T) {
	b := start(t)
	usual := map[string]time.Duration{}
	for _, era := range eras {
		usual[era] = b.least(func() time.Duration { d, _ := b.once(era, messages[0], plain(size)); return d })
		cheapest := b.least(func() time.Duration { d, _ := b.once(era, messages[0], text(size)); return d })
		t.Logf("%s: a plain body costs %s, one string %s", era, usual[era], cheapest)
	}
	worst := 0.0
	try := func(era string, m message, shape string) {
		part := shapes(m.object)[shape](size)
		var answer string
		cost := b.within(usual[era], func() (d time.Duration) { d, answer = b.once(era, m, part); return d })
		worst = max(worst, ratio(cost, usual[era]))
		if r := ratio(cost, usual[era]); r > most*noise {
			t.Errorf("%s, %s in %s: %s, %.1f times a plain body", era, shape, m.text, cost, r)
		}
		if n := len(textOf(answer)); n > textBound {
			t.Errorf("%s, %s in %s: the error's text has %d bytes", era, shape, m.text, n)
		}
	}
	begun, tried := time.Now(), 0
	for _, object := range []bool{false, true} {
		of := slices.DeleteFunc(slices.Clone(messages), func(m message) bool { return m.object != object })
		for i, p := range cover(len(of), sorted(shapes(object))) {
			try(eras[i%len(eras)], of[p.place], p.shape)
			tried++
		}
	}
	r := rand.New(rand.NewPCG(*seed, 1))
	for ; time.Since(begun) < *budget/2; tried++ {
		m, era := messages[r.IntN(len(messages))], oneOf(r, eras)
		try(era, m, oneOf(r, sorted(shapes(m.object))))
	}
	t.Logf("%d shapes, the worst %.1f times a plain body; -seed %d", tried, worst, *seed)
}

// TestChildren holds what a child says to the bound, as TestClients does.
func TestChildren(t *testing.T) {
	b := start(t)
	usual := map[string]time.Duration{}
	for _, era := range eras {
		usual[era] = b.least(func() time.Duration { return b.says(era, "content", "plain", "spaces") })
		cheapest := b.least(func() time.Duration { return b.says(era, "content", "text", "spaces") })
		t.Logf("%s: a plain line costs %s, one string %s", era, usual[era], cheapest)
	}
	worst, which := 0.0, ""
	try := func(era, place, shape string) {
		value, inside := shape, "spaces"
		if takesMembers(place) {
			value, inside = "spaces", shape
		}
		cost := b.within(usual[era], func() time.Duration { return b.says(era, place, value, inside) })
		times := ratio(cost, usual[era])
		if times > worst {
			worst, which = times, fmt.Sprintf("%s, %s: %s", era, place, shape)
		}
		if times > most*noise {
			t.Errorf("%s, %s: %s: %s, %.1f times a plain line", era, place, shape, cost, times)
		}
	}
	begun, tried := time.Now(), 0
	for _, object := range []bool{false, true} {
		of := slices.DeleteFunc(sorted(places), func(place string) bool { return takesMembers(place) != object })
		for i, p := range cover(len(of), sorted(shapes(object))) {
			try(eras[i%len(eras)], of[p.place], p.shape)
			tried++
		}
	}
	r := rand.New(rand.NewPCG(*seed, 2))
	for ; time.Since(begun) < *budget/2; tried++ {
		place, era := oneOf(r, sorted(places)), oneOf(r, eras)
		try(era, place, oneOf(r, sorted(shapes(takesMembers(place)))))
	}
	t.Logf("%d shapes, the worst %.1f times a plain line: %s; -seed %d", tried, worst, which, *seed)
}

// TestLists holds lists of tools to the bound, which the policy filters and of
// which the bridge keeps what concerns headers.
func TestLists(t *testing.T) {
	b := start(t)
	list := message{
		"tools/list",
		false,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/list","params":{"_meta":{META},"x":%s}}`,
	}
	r := rand.New(rand.NewPCG(*seed, 3))
	t.Logf("-seed %d", *seed)
	era := oneOf(r, eras)
	ask := func() time.Duration { d, _ := b.once(era, list, "0"); return d }
	b.calls(era, "tools", "", "tools", "")
	usual := b.least(ask)
	t.Logf("%s: a plain list costs %s", era, usual)
	for _, value := range sorted(values) {
		b.calls(era, "tools", "", value, "")
		if cost := b.within(usual, ask); ratio(cost, usual) > most*noise {
			t.Errorf("%s, %s: %s, %.1f times a plain list", era, value, cost, ratio(cost, usual))
		}
	}
}

// TestFloods holds lines that are of no use to the cost of as many plain ones.
func TestFloods(t *testing.T) {
	b := start(t)
	usual := time.Duration(0)
	for _, era := range eras { // some fronts pass a plain line on, some drop it
		usual = max(usual, b.least(func() time.Duration { return b.calls(era, "flood", "plain", "", "") }))
	}
	for _, era := range eras {
		for _, kind := range sorted(floods) {
			cost := b.within(usual, func() time.Duration { return b.calls(era, "flood", kind, "", "") })
			t.Logf("%s: %d lines, %s: %s, %.1f times plain ones", era, floodLines, kind, cost, ratio(cost, usual))
			if ratio(cost, usual) > most*noise {
				t.Errorf("%s: lines of %s cost %s, %.1f times plain ones", era, kind, cost, ratio(cost, usual))
			}
		}
	}
}

// says has the child say a line, and is the CPU that it cost.
func (b *bridge) says(era, place, value, inside string) time.Duration {
	b.t.Helper()
	return b.calls(era, "say", place, value, inside)
}

func (b *bridge) calls(era, tool, place, value, inside string) time.Duration {
	b.t.Helper()
	m := message{
		"tools/call",
		false,
		`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"` + tool + `","_meta":{META},"arguments":%s}}`,
	}
	args, err := json.Marshal(map[string]string{"place": place, "value": value, "inside": inside})
	if err != nil {
		b.t.Fatal(err)
	}
	cost, _ := b.once(era, m, string(args))
	return cost
}

// least is the least of some measurements: what else the machine does, and the
// collector, only add.
func (b *bridge) least(measure func() time.Duration) time.Duration {
	d := measure()
	for range 4 {
		d = min(d, measure())
	}
	return d
}

// within measures again where a measurement is over the bound, for the machine
// may have been busy.
func (b *bridge) within(usual time.Duration, measure func() time.Duration) time.Duration {
	d := measure()
	for n := 0; n < 8 && ratio(d, usual) > most; n++ {
		d = min(d, measure())
	}
	return d
}

func ratio(cost, usual time.Duration) float64 { return float64(cost) / float64(usual) }

func textOf(answer string) string {
	var m struct{ Error struct{ Message string } }
	_ = json.Unmarshal([]byte(answer), &m) // what is no error has no text
	return m.Error.Message
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// nameOf is what a client mirrors in Mcp-Name.
func nameOf(body string) string {
	for _, tool := range []string{"say", "flood", "tools"} {
		if strings.Contains(body[:min(len(body), 200)], `"name":"`+tool+`"`) {
			return tool
		}
	}
	return "echo"
}
