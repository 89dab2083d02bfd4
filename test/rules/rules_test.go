package rules_test

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "gatehouse/"

// list runs `go list` in the module's root and returns its lines.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// TestWhatAProgramLinks keeps each program to its own half: a flaw in the OIDC
// or Redis client is then no flaw of the bridge.
func TestWhatAProgramLinks(t *testing.T) {
	never := map[string][]string{
		"./bridge": {
			"github.com/redis/go-redis",
			"github.com/coreos/go-oidc",
			"github.com/modelcontextprotocol/go-sdk",
			"google.golang.org/grpc",
			module + "authsvc",
			module + "test",
		},
		"./authsvc": {
			"github.com/modelcontextprotocol/go-sdk",
			"cel.dev/cel-go",
			"google.golang.org/grpc",
			module + "bridge",
			module + "test",
		},
	}
	for program, bad := range never {
		for _, dep := range list(t, "-deps", program) {
			for _, b := range bad {
				if dep == b || strings.HasPrefix(dep, b+"/") {
					t.Errorf("%s links %s", program, dep)
				}
			}
		}
	}
}

// siblings are packages of which none may know another.
var siblings = [][]string{
	{"bridge/internal/sse", "bridge/internal/streamable", "bridge/internal/stateless"},
	{"authsvc/internal/session/memstore", "authsvc/internal/session/redisstore"},
	{
		"authsvc/internal/check",
		"authsvc/internal/login",
		"authsvc/internal/logout",
		"authsvc/internal/account",
		"authsvc/internal/metadata",
	},
}

func TestSiblingsDoNotKnowEachOther(t *testing.T) {
	for _, group := range siblings {
		for _, pkg := range group {
			deps := list(t, "-deps", module+pkg)
			for _, other := range group {
				if other != pkg && contains(deps, module+other) {
					t.Errorf("%s links its sibling %s", pkg, other)
				}
			}
		}
	}
}

// TestWhatAPackageNeverImports is the last column of the design's table of
// rooms. The rule is on direct imports, unless the whole closure is named.
func TestWhatAPackageNeverImports(t *testing.T) {
	never := map[string][]string{
		"internal/contract":         {"net/http", "os", "net"},
		"internal/httpkit":          {module + "internal/contract"},
		"bridge/internal/rpc":       {"os", "net", "net/http"},
		"bridge/internal/child":     {"net/http"},
		"bridge/internal/event":     {"net/http", "os"},
		"bridge/internal/mux":       {"net/http", "os", "os/exec"},
		"bridge/internal/fleet":     {"net/http"},
		"bridge/internal/session":   {"net/http"},
		"bridge/internal/connect":   {"os/exec", "golang.org/x/oauth2", module + "bridge/internal/connect/signin"},
		"authsvc/internal/session":  {"github.com/redis/go-redis/v9", "net/http"},
		"authsvc/internal/resource": {"net/http", "os", module + "authsvc/internal/check"},
		"authsvc/internal/provider": {module + "authsvc/internal/check", module + "authsvc/internal/session"},
	}
	for pkg, bad := range never {
		imports := list(t, "-f", `{{join .Imports "\n"}}`, module+pkg)
		if len(imports) == 0 {
			t.Errorf("%s imports nothing: is it still there?", pkg)
		}
		for _, b := range bad {
			if contains(imports, b) {
				t.Errorf("%s imports %s", pkg, b)
			}
		}
	}
}

// TestTheRoomsOfTheBridgeKnowOnlyWhatIsBelow: session knows fleet, fleet mux,
// mux event, event rpc, and never the other way.
func TestTheRoomsOfTheBridgeKnowOnlyWhatIsBelow(t *testing.T) {
	const room = module + "bridge/internal/"
	below := map[string]string{
		"rpc":     "",
		"event":   "rpc",
		"mux":     "event rpc",
		"child":   "rpc",
		"fleet":   "mux event child rpc sandbox sandbox/inside",
		"session": "fleet mux event child rpc sandbox sandbox/inside",
		"sandbox": "sandbox/inside",
	}
	for pkg, may := range below {
		for _, dep := range list(t, "-deps", room+pkg) {
			if name, ours := strings.CutPrefix(dep, room); ours && name != pkg && !contains(strings.Fields(may), name) {
				t.Errorf("%s links %s, which is not below it", pkg, name)
			}
		}
	}
}

// TestTheOtherEndKnowsNothingOfTheBridge: it stays small, and nothing else of the
// bridge gets tokens.
func TestTheOtherEndKnowsNothingOfTheBridge(t *testing.T) {
	const room = module + "bridge/internal/"
	may := []string{
		"connect", "connect/cli", "connect/keyring", "connect/outbound", "connect/signin", "rpc", "translate",
	}
	for _, dep := range list(t, "-deps", module+"bridge/connect") {
		if name, ours := strings.CutPrefix(dep, room); ours && !contains(may, name) {
			t.Errorf("the other end links %s", name)
		}
	}
	for _, line := range list(t, "-f",
		`{{$p := .ImportPath}}{{range .Imports}}{{$p}}={{.}}{{"\n"}}{{end}}`, module+"bridge/...") {
		pkg, dep, _ := strings.Cut(line, "=")
		if strings.HasPrefix(dep, "golang.org/x/oauth2") && pkg != room+"connect/signin" {
			t.Errorf("%s imports %s", pkg, dep)
		}
	}
}

func contains(all []string, want string) bool {
	for _, one := range all {
		if one == want {
			return true
		}
	}
	return false
}
