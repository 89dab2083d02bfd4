package policy

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"gatehouse/internal/contract"
)

// maxExprCost bounds the work of one evaluation, in units of the CEL
// specification (about one a step). Beyond it the rule fails, which refuses.
const maxExprCost = 10_000

// expr is a compiled condition.
type expr struct {
	program  cel.Program
	usesArgs bool // it cannot be decided for a list, which has no arguments
}

// newEnv declares what a condition may speak of. Only the arguments, whose
// shape belongs to the server, are without a type.
func newEnv() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("user.id", cel.StringType),
		cel.Variable("user.email", cel.StringType),
		cel.Variable("user.name", cel.StringType),
		cel.Variable("user.roles", cel.ListType(cel.StringType)),
		cel.Variable("user.scopes", cel.ListType(cel.StringType)),
		cel.Variable("tool.name", cel.StringType),
		cel.Variable("tool.server", cel.StringType),
		cel.Variable("tool.kind", cel.StringType),
		cel.Variable("args", cel.MapType(cel.StringType, cel.DynType)),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateComprehensionNestingLimit(2)),
		cel.ParserExpressionSizeLimit(4096),
	)
}

func compileExpr(env *cel.Env, source string) (*expr, error) {
	ast, issues := env.Compile(source)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, fmt.Errorf("at its character %d: %s", first.Location.Column()+1, first.Message)
	}
	if !ast.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("is of type %s, want bool; compare an argument with a value", ast.OutputType())
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxExprCost))
	if err != nil {
		return nil, err
	}
	e := &expr{program: program}
	for _, ref := range ast.NativeRep().ReferenceMap() {
		e.usesArgs = e.usesArgs || ref.Name == "args"
	}
	return e, nil
}

func (e *expr) eval(v *vars) (bool, error) {
	if e.usesArgs {
		if err := v.readArgs(); err != nil {
			return false, err
		}
	}
	out, _, err := e.program.Eval(v)
	if err != nil {
		return false, err
	}
	return out == types.True, nil
}

// query is one question to a policy.
type query struct {
	user   *contract.Identity
	server string
	kind   Kind
	name   string
	raw    []byte // arguments as they came
	list   bool   // whether a list shows the item: no arguments to look at
	vars   *vars  // made for the first expression: most questions meet none
}

// vars is what the expressions of one question read.
type vars struct {
	query
	args map[string]any // raw, read at the first expression that needs it
}

var _ interpreter.Activation = (*vars)(nil)

// variables copies the question: an expression lets what it reads escape, and a
// question that meets none stays on the stack.
func (q *query) variables() *vars {
	if q.vars == nil {
		q.vars = &vars{query: *q}
	}
	return q.vars
}

func (v *vars) readArgs() error {
	if v.args != nil {
		return nil
	}
	args, err := decodeArgs(v.raw)
	v.args = args
	return err
}

// ResolveName serves the variables of newEnv.
func (v *vars) ResolveName(name string) (any, bool) {
	switch name {
	case "user.id":
		return v.user.Subject, true
	case "user.email":
		return v.user.Email, true
	case "user.name":
		return v.user.Name, true
	case "user.roles":
		return types.NewStringList(types.DefaultTypeAdapter, v.user.Roles), true
	case "user.scopes":
		return types.NewStringList(types.DefaultTypeAdapter, v.user.Scopes), true
	case "tool.name":
		return v.name, true
	case "tool.server":
		return v.server, true
	case "tool.kind":
		return v.kind.String(), true
	case "args":
		return v.args, true
	}
	return nil, false
}

// Parent ends the chain of activations.
func (v *vars) Parent() interpreter.Activation { return nil }
