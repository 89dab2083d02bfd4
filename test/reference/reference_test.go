package reference

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// What a flag takes is what the program says to values, not what is written down.
func TestTablesAskTheProgram(t *testing.T) {
	var f struct {
		Calls  int           `default:"3" help:"Calls | in all."`
		Port   int           `help:"A port."`
		Leeway time.Duration `default:"30s" help:"A leeway."`
		Mode   string        `enum:"a,b" default:"a" help:"A mode."`
		Origin []string      `help:"Origins."`
	}
	parser, err := kong.New(&f, kong.DefaultEnvars("X"))
	if err != nil {
		t.Fatal(err)
	}
	says := func(args ...string) string {
		name, value, _ := strings.Cut(args[0], "=")
		refused := map[string]string{"--calls": "-1 0", "--port": "-1 65536 1099511627776", "--leeway": "-1s 5m1s 1h 12h 24h 8760h"}
		for _, bad := range strings.Fields(refused[name]) {
			if value == bad {
				return fmt.Sprintf("usage: %s must be another", name)
			}
		}
		return ""
	}
	got := Program{Flags: parser.Model.Flags, Says: says}.Tables(t)
	for _, want := range []string{
		"| `--calls` | `X_CALLS` | `3` | a number, more than 0 | Calls \\| in all. |",
		"| `--port` | `X_PORT` |  | a number, from 0 to 65535 | A port. |",
		"| `--leeway` | `X_LEEWAY` | `30s` | a time, from 0 to 5m | A leeway. |",
		"| `--mode` | `X_MODE` | `a` | `a`, `b` | A mode. |",
		"| `--origin` | `X_ORIGIN` |  | a list, separated by `,` | Origins. |",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no row %s in\n%s", want, got)
		}
	}
}

// A complaint is about a flag where its line begins with it, not where it is named.
func TestNames(t *testing.T) {
	for said, want := range map[string]bool{
		"--age: want more": true, "usage: --age must be more\nusage: --other": true, "--idle: at most --age": false,
		"--age-of-it: no": false, "": false, "--idle: no; --age: no": true,
	} {
		if got := names(said, "age"); got != want {
			t.Errorf("%q is about --age: %v", said, got)
		}
	}
}

func TestCut(t *testing.T) {
	const page = "# A\n<!-- made by make reference: x -->\nold\n<!-- made until here -->\nend\n"
	before, inside, after, err := cut(page, "x")
	if err != nil || inside != "\nold\n" || before+inside+after != page {
		t.Errorf("%q %q %q: %v", before, inside, after, err)
	}
	for _, bad := range []string{"# A\n", "<!-- made by make reference: x -->\nold\n"} {
		if _, _, _, err := cut(bad, "x"); err == nil {
			t.Errorf("%q has its marks", bad)
		}
	}
	if got := difference("\na\nb\n", "\na\nc\n"); !strings.Contains(got, "b\nthe program: c") {
		t.Errorf("the difference is told as %q", got)
	}
}
