package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// figures are what the sizes are made of, each as it was measured or is shipped.
type figures struct {
	cores       int     // of the machine that was measured
	nginxCPU    float64 // s of CPU for 10,000 requests with a remembered verdict
	askCPU      float64 // the same for a question to authsvc
	bridgeCPU   float64 // the same for a call, with a child that does nothing
	nginxKB     float64 // of an open stream
	bridgeKB    float64 // of a session with its stream, without its child
	authsvcKB   float64 // of a session that is used
	lookCPU     float64 // s of CPU of Redis for 10,000 looks at a session
	redisKB     float64 // of a session there
	sleeper     *sleeper
	connections int // of one nginx worker
	sessions    int // --max-sessions of a bridge
}

// sleeper is what part scale measured of sessions whose child sleeps.
type sleeper struct {
	Server   string  `json:"server"`
	BridgeKB float64 `json:"bridgeKBPerSession"`
	ChildMB  float64 `json:"childMB"`
}

// page is a Markdown page whose tables are read.
type page string

// section is what stands between two markers.
func (p page) section(name string) (page, bool) {
	_, rest, found := strings.Cut(string(p), "<!-- "+name+" -->")
	text, _, ended := strings.Cut(rest, "<!-- end of "+name+" -->")
	return page(text), found && ended
}

// cell is the number in the row whose first cell begins with row, of the first
// table below title that has it; column is a part of the column's name.
func (p page) cell(title, row, column string) (float64, error) {
	_, rest, _ := strings.Cut(string(p), title)
	var head []string
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 2 {
			head = nil
			continue
		}
		if head == nil {
			head = cells
		}
		if !strings.HasPrefix(strings.TrimSpace(cells[0]), row) {
			continue
		}
		for i, name := range head {
			if strings.Contains(name, column) && i < len(cells) {
				return number(cells[i])
			}
		}
	}
	return 0, fmt.Errorf("below %q no row %q has a column %q", title, row, column)
}

var digits = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)

func number(text string) (float64, error) { return strconv.ParseFloat(digits.FindString(text), 64) }

// read takes the figures of the repository at root.
func read(root string) (f figures, err error) {
	text := func(path string) (t page) {
		raw, e := os.ReadFile(filepath.Join(root, path))
		if err == nil {
			err = e
		}
		return page(raw)
	}
	marks := text("docs/benchmarks.md")
	nginx, bridge := text("nginx/nginx.conf"), text("docs/reference/bridge.md")
	if err != nil {
		return f, err
	}
	cell := func(section, title, row, column string) (v float64) {
		p, ok := marks.section(section)
		if err == nil && !ok {
			err = fmt.Errorf("docs/benchmarks.md has no section %q", section)
		}
		if err == nil {
			v, err = p.cell(title, row, column)
		}
		return v
	}
	match := func(p page, what string) (v float64) {
		m := regexp.MustCompile(what).FindStringSubmatch(string(p))
		if err == nil && m == nil {
			err = fmt.Errorf("nothing says %s", what)
		}
		if err == nil {
			v, err = number(m[1])
		}
		return v
	}
	const cpu = "CPU s per 10k"
	f.nginxCPU = cell("part three", "### Remembered verdicts", "the gate's nginx, Bearer", cpu)
	f.askCPU = cell("part two", "### Requests through nginx", "authsvc, Bearer", cpu) -
		cell("part two", "### Requests through nginx", "no auth", cpu)
	f.bridgeCPU = cell("part one", "### Streamable HTTP with sessions", "bridge, signed identity", cpu)
	f.nginxKB = cell("idle streams through the gate", "## Idle streams", "500", "RSS KB")
	f.bridgeKB = cell("idle streams", "## Idle SSE streams", "bridge", "RSS KB")
	two, _ := marks.section("part two")
	f.authsvcKB = match(two, `used in this run: ([0-9.]+) MB`) * 1024 / match(two, `RSS with ([0-9]+) live sessions`)
	f.lookCPU = cell("redis", "## What sessions cost Redis", "CPU of 10,000 looks", "of Redis")
	f.redisKB = cell("redis", "## What sessions cost Redis", "memory of a session", "of Redis")
	f.cores = int(match(two, ` on ([0-9]+) cores of`))
	f.connections = int(match(nginx, `worker_connections ([0-9]+);`))
	f.sessions = int(match(bridge, "`--max-sessions` \\|[^|]*\\| `([0-9]+)`"))
	if err == nil {
		f.sleeper, err = marks.sleeper()
	}
	if f.sleeper != nil {
		f.bridgeKB = f.sleeper.BridgeKB
	}
	return f, err
}

// sleeper reads the figures of part scale, nil where it was not run yet.
func (p page) sleeper() (*sleeper, error) {
	text, ok := p.section("scale everything")
	if !ok {
		return nil, nil
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	raw, _, _ := strings.Cut(rest, "```")
	var s sleeper
	if err := json.Unmarshal([]byte(raw), &s); err != nil || s.ChildMB <= 0 || s.BridgeKB <= 0 {
		return nil, fmt.Errorf("docs/benchmarks.md, section \"scale everything\": %w in %.80q", err, raw)
	}
	return &s, nil
}
