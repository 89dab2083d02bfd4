package cli_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"gatehouse/bridge/internal/connect/cli"
)

func TestUsage(t *testing.T) {
	const url = "https://mcp.example.com/mcp"
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no address":                   {nil, "the address of the server is missing"},
		"an address without TLS":       {[]string{"http://mcp.example.com/mcp"}, "neither https nor on loopback"},
		"an unknown flag":              {[]string{"--what", url}, "bridge connect --help"},
		"a header without a value":     {[]string{"--header", "secret", url}, `write "NAME: VALUE"`},
		"a header that breaks a line":  {[]string{"--header", "X: a\r\nY: b", url}, "no header of HTTP"},
		"two ways to have a token":     {[]string{"--token-file", "f", "--device", url}, "leave out --device"},
		"a secret of nobody":           {[]string{"--client-secret-file", "f", url}, "needs --client-id"},
		"authorities that are no file": {[]string{"--ca", "/nowhere", url}, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			err := cli.Connect(t.Context(), c.args, cli.Streams{Out: &said, Err: &said})
			if !errors.Is(err, cli.ErrUsage) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if strings.Contains(err.Error(), "secret") && name == "a header without a value" {
				t.Error("the header was told")
			}
		})
	}
}

func TestLogoutOfNothing(t *testing.T) {
	var said bytes.Buffer
	err := cli.Logout(
		t.Context(),
		[]string{"--tokens", t.TempDir(), "https://mcp.example.com/mcp"},
		cli.Streams{Out: &said, Err: &said},
	)
	if err != nil || !strings.Contains(said.String(), "nothing is kept") {
		t.Errorf("%v: %s", err, said.String())
	}
}
