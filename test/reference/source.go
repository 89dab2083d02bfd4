package reference

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// Field is one of a struct that is written as JSON, with the comment behind it.
type Field struct{ Name, Comment string }

// Fields are those of a type in a file, by their names in JSON.
func Fields(t *testing.T, file, name string) (fields []Field) {
	t.Helper()
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		body, ok := spec.Type.(*ast.StructType)
		if !ok {
			return false
		}
		for _, f := range body.Fields.List {
			if f.Tag == nil {
				continue
			}
			tag, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			key, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			if key != "" && key != "-" {
				fields = append(fields, Field{key, strings.TrimSpace(f.Comment.Text())})
			}
		}
		return false
	})
	if len(fields) == 0 {
		t.Fatalf("%s has no struct %s with names in JSON", file, name)
	}
	for _, f := range fields {
		if f.Comment == "" {
			t.Errorf("%s: say behind the field %q of %s what it is, for the reference", file, f.Name, name)
		}
	}
	return fields
}

// FieldTable is a table of them.
func FieldTable(fields []Field) string {
	text := Table("field", "what it is")
	for _, f := range fields {
		text += Row(Code(f.Name), f.Comment)
	}
	return text
}

// Constants are the numbers that a file names with this prefix, as in -32700.
func Constants(t *testing.T, file, prefix string) map[string]string {
	t.Helper()
	found := map[string]string{}
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		if minus, ok := spec.Values[0].(*ast.UnaryExpr); ok && minus.Op == token.SUB {
			if number, ok := minus.X.(*ast.BasicLit); ok {
				found["-"+number.Value] = spec.Names[0].Name
			}
		}
		return true
	})
	return found
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
