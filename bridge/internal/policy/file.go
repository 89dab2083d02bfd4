package policy

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxFileBytes bounds a policy file.
const MaxFileBytes = 1 << 20

// Error says what is wrong with a policy file, and where. Line and Column
// count from 1; they are 0 where the file as a whole is meant.
type Error struct {
	Line, Column int
	Field        string // such as rules[2].when, or ""
	Msg          string
}

func (e *Error) Error() string {
	where := ""
	if e.Line > 0 {
		where = fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	}
	if e.Field != "" {
		where += e.Field + ": "
	}
	return where + e.Msg
}

// document is the file as it is written.
type document struct {
	Default string    `yaml:"default"`
	Rules   []ruleDoc `yaml:"rules"`
}

type ruleDoc struct {
	Name         string    `yaml:"name"`
	Servers      []string  `yaml:"servers"`
	Tools        []string  `yaml:"tools"`
	Prompts      []string  `yaml:"prompts"`
	Resources    []string  `yaml:"resources"`
	Methods      []string  `yaml:"methods"`
	Roles        []string  `yaml:"roles"`
	Scopes       []string  `yaml:"scopes"`
	When         string    `yaml:"when"`
	Deny         bool      `yaml:"deny"`
	Limit        *limitDoc `yaml:"limit"`
	LogArguments bool      `yaml:"log_arguments"`
}

type limitDoc struct {
	PerMinute int `yaml:"per_minute"`
	InFlight  int `yaml:"in_flight"`
}

// source finds the place of a field for an error.
type source struct {
	file *ast.File
}

// readDocument reads the text: one document, no key unknown or twice, no
// anchors (a small file could expand without end).
func readDocument(text []byte) (document, source, error) {
	var doc document
	if len(text) > MaxFileBytes {
		return doc, source{}, &Error{Msg: fmt.Sprintf("the file has %d bytes, at most %d fit", len(text), MaxFileBytes)}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return doc, source{}, yamlError(err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return doc, source{}, &Error{Msg: "the file must hold one YAML document with the keys default and rules"}
	}
	var aliases aliasFinder
	ast.Walk(&aliases, file.Docs[0].Body)
	if aliases.found != nil {
		return doc, source{}, at(aliases.found, "", "anchors, aliases, merges and tags are not supported; write it out")
	}
	if err := yaml.NodeToValue(file.Docs[0].Body, &doc, yaml.Strict()); err != nil {
		return doc, source{}, shapeError(file.Docs[0].Body, err)
	}
	return doc, source{file: file}, nil
}

// fault is an error at the field that path names; where the field is not
// written, at the closest one above it.
func (s source) fault(path []any, msg string) *Error {
	field := fieldName(path)
	for n := len(path); n > 0; n-- {
		p, err := yaml.PathString("$." + fieldName(path[:n]))
		if err != nil {
			continue
		}
		if node, err := p.FilterFile(s.file); err == nil && node != nil {
			return at(firstToken(node), field, msg)
		}
	}
	return at(firstToken(s.file.Docs[0].Body), field, msg)
}

func fieldName(path []any) string {
	name := ""
	for _, p := range path {
		switch p := p.(type) {
		case int:
			name += fmt.Sprintf("[%d]", p)
		case string:
			if name != "" {
				name += "."
			}
			name += p
		}
	}
	return name
}

// firstToken is where a reader would look: a mapping's own token is its first
// colon, which may stand lines below its first key.
func firstToken(node ast.Node) *token.Token {
	switch n := node.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return firstToken(n.Values[0])
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return node.GetToken()
}

func at(t *token.Token, field, msg string) *Error {
	e := &Error{Field: field, Msg: msg}
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

func yamlError(err error) error {
	var ye yaml.Error
	if errors.As(err, &ye) {
		return at(ye.GetToken(), "", ye.GetMessage())
	}
	return &Error{Msg: err.Error()}
}

type aliasFinder struct{ found *token.Token }

func (f *aliasFinder) Visit(node ast.Node) ast.Visitor {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		if f.found == nil {
			f.found = node.GetToken()
		}
	}
	return f
}
