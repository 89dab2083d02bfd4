package guard

import (
	"fmt"
	"io"
	"os"
	"strings"

	"gatehouse/bridge/internal/policy"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/internal/contract"
)

// Check is the command "policy check": it says whether a file is good and,
// asked about a tool, prompt or resource, what would be decided and why.
type Check struct {
	File     string   `arg:"" help:"The policy file."`
	User     string   `help:"The caller's id." default:"someone"`
	Email    string   `help:"The caller's email address."`
	Roles    []string `help:"The caller's roles."`
	Scopes   []string `help:"The scopes of the caller's token."`
	Server   string   `help:"The name of the server."`
	Tool     string   `help:"Ask about this tool." xor:"item"`
	Prompt   string   `help:"Ask about this prompt." xor:"item"`
	Resource string   `help:"Ask about the resource of this URI." xor:"item"`
	Method   string   `help:"Ask about this method, one that is about none of these." xor:"item"`
	Args     string   `help:"The arguments of the call, as JSON."`

	NameSeparator string `default:"__" help:"Between a server's name and that of its tool where /mcp is several servers."`
}

// Run writes the answer. allowed is false where the call would be refused.
func (c *Check) Run(w io.Writer) (allowed bool, err error) {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return false, err
	}
	p, err := policy.Parse(text)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.File, err)
	}
	standard := map[bool]string{true: "allow", false: "deny"}[p.DefaultAllows()]
	_, err = fmt.Fprintf(w, "%s: good; %d rules, default %s\n", c.File, p.Rules(), standard)
	kind, name := c.item()
	if name == "" || err != nil {
		return true, err
	}
	if c.Args != "" && !rpc.Valid([]byte(c.Args)) {
		return false, fmt.Errorf("--args %q is not JSON", rpc.Clip(c.Args, 100))
	}
	id := &contract.Identity{Subject: c.User, Email: c.Email, Roles: c.Roles, Scopes: c.Scopes}
	if server, own := c.split(kind, name); server != c.Server {
		_, _ = fmt.Fprintf(w, "%s is %s of the server %s\n", name, own, server)
		c.Server, name = server, own
	}
	d := p.Decide(id, c.Server, kind, name, []byte(c.Args))
	_, err = fmt.Fprintf(w, "call: %s by rule %s\n", d.Outcome, d.Rule)
	if len(d.Scopes) > 0 {
		_, _ = fmt.Fprintf(w, "scopes that would cure it: %v\n", d.Scopes)
	}
	if kind == policy.Method {
		return d.Outcome == policy.Allowed, err
	}
	_, _ = fmt.Fprintf(w, "shown in lists: %v\n", p.Visible(id, c.Server, kind, name))
	return d.Outcome == policy.Allowed, err
}

// split takes a tool or a prompt by the name that it has at /mcp too: NAME__tool
// is decided for the server NAME by its own name.
func (c *Check) split(kind policy.Kind, name string) (server, own string) {
	server, own, named := strings.Cut(name, c.NameSeparator)
	if kind != policy.Tool && kind != policy.Prompt || !named || server == "" || c.Server != "" || own == "" {
		return c.Server, name
	}
	return server, own
}

func (c *Check) item() (policy.Kind, string) {
	switch {
	case c.Prompt != "":
		return policy.Prompt, c.Prompt
	case c.Resource != "":
		return policy.Resource, c.Resource
	case c.Method != "":
		return policy.Method, c.Method
	}
	return policy.Tool, c.Tool
}
