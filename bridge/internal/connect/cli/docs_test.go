package cli

import (
	"io"
	"testing"

	"github.com/alecthomas/kong"

	"gatehouse/test/reference"
)

// TestReference: docs/reference/connect.md is what the program says of itself.
func TestReference(t *testing.T) {
	var f flags
	parser, err := kong.New(&f, kong.DefaultEnvars("BRIDGE_CONNECT"))
	if err != nil {
		t.Fatal(err)
	}
	program := reference.Program{Flags: parser.Model.Flags, Says: func(args ...string) string {
		_, _, err := parse("connect", append(args, "https://gate.example.com/mcp"), Streams{io.Discard, io.Discard})
		if err == nil {
			return ""
		}
		return err.Error()
	}}
	reference.Hold(t, "connect.md", "flags", program.Tables(t))
}
