package conformance

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
)

var (
	resultLine   = regexp.MustCompile(`^([✓✗]) (\S+): (\d+) passed, (\d+) failed`)
	unscoredLine = regexp.MustCompile(`^\s+[✓✗] (\S+) \(`)
)

// Results reads the suite's own summary: each required scenario and whether it
// passed. What the suite does not score for the version is left out.
func Results(r io.Reader) (map[string]bool, error) {
	passed := map[string]bool{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		if m := resultLine.FindStringSubmatch(lines.Text()); m != nil {
			passed[m[2]] = m[1] == "✓"
		}
		if m := unscoredLine.FindStringSubmatch(lines.Text()); m != nil {
			delete(passed, m[1])
		}
	}
	return passed, lines.Err()
}

// Baseline reads lines "CHILD VERSION SCENARIO REASON..." of what cannot pass.
func Baseline(r io.Reader) (map[string]string, error) {
	known := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 {
			return nil, fmt.Errorf("baseline: %q: want CHILD VERSION SCENARIO REASON", line)
		}
		known[strings.Join(fields[:3], " ")] = strings.Join(fields[3:], " ")
	}
	return known, lines.Err()
}
