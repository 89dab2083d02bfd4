package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// wants says what each field takes, as it is written.
var wants = map[string]string{
	"":              "the keys default and rules",
	"default":       "deny or allow",
	"rules":         "a list of rules, each behind a dash",
	"rule":          "a rule: its keys, such as name and tools",
	"name":          "a text",
	"servers":       listOf("[slack]"),
	"tools":         listOf("[list_*, read_file]"),
	"prompts":       listOf(`["*"]`),
	"resources":     listOf(`["file:///docs/**"]`),
	"methods":       listOf(`["tasks/*"]`),
	"roles":         listOf("[mcp-user]"),
	"scopes":        listOf("[mcp.access]"),
	"when":          `a condition, such as args.channel != "general"`,
	"deny":          "true or false",
	"log_arguments": "true or false",
	"limit":         "keys, such as {per_minute: 60, in_flight: 2}",
	"per_minute":    "a whole number",
	"in_flight":     "a whole number",
}

func listOf(example string) string { return "a list, such as " + example }

// shapeError names the field, the value and the way out, where the value has
// another shape than the field.
func shapeError(root ast.Node, err error) error {
	var ye yaml.Error
	if !errors.As(err, &ye) || ye.GetToken() == nil {
		return yamlError(err)
	}
	find := finder{token: ye.GetToken()}
	ast.Walk(&find, root)
	field := strings.TrimPrefix(strings.TrimPrefix(find.path, "$"), ".")
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		return at(ye.GetToken(), field, ye.GetMessage()+"; the keys that there are stand in docs/policy.md")
	}
	want, ok := wants[lastName(field)]
	if !ok || find.node == nil {
		return yamlError(err)
	}
	return at(ye.GetToken(), field, fmt.Sprintf("%s; want %s", shapeOf(find.node), want))
}

// lastName is the field's own name: "rule" for one of a list of them.
func lastName(field string) string {
	name := field[strings.LastIndex(field, ".")+1:]
	name, _, inList := strings.Cut(name, "[")
	if inList && name == "rules" {
		return "rule"
	}
	return name
}

func shapeOf(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "these are keys with values"
	case *ast.SequenceNode:
		return "this is a list"
	}
	return fmt.Sprintf("is %.40q", node.GetToken().Value)
}

// finder looks for the outermost node at a token, and its path.
type finder struct {
	token *token.Token
	node  ast.Node
	path  string
}

func (f *finder) Visit(node ast.Node) ast.Visitor {
	if t := node.GetToken(); f.node == nil && t != nil && t.Position.Offset == f.token.Position.Offset {
		f.node, f.path = node, node.GetPath()
	}
	return f
}
