//go:build e2e

// Package e2e drives the whole gate as its users do: real nginx, Redis and
// Keycloak, both programs, the official clients and a browser. One stack with
// the product's own limits serves all tests; with GATEHOUSE_URL set it is one
// that runs already (stack.Gate names the variables), of which the tests named
// TestNative know too little.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/test/stack"
)

var gate *stack.Stack

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if gate, err = start(dir); err != nil {
		fmt.Println(err)
		return 1
	}
	defer gate.Close()
	code := m.Run()
	if log := gate.Part(stack.Keycloak).Log(); code != 0 && log != "" {
		complaints(log)
	}
	return code
}

// complaints prints the last of what Keycloak warned of: a refused login stands
// there with its reason.
func complaints(log string) {
	text, err := os.ReadFile(log)
	if err != nil {
		fmt.Println(err)
		return
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " WARN ") || strings.Contains(line, " ERROR ") {
			lines = append(lines, line)
		}
	}
	fmt.Print("of Keycloak's log:\n", strings.Join(lines[max(0, len(lines)-40):], ""))
}

func start(dir string) (*stack.Stack, error) {
	if running, ok := stack.GateFromEnv(); ok {
		return stack.Attach(running)
	}
	root, err := stack.Root()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	return stack.Start(ctx, stack.Options{
		Dir: dir, Bin: filepath.Join(root, "bin"), Keycloak: os.Getenv("GATEHOUSE_KEYCLOAK"),
		Up: func(p *stack.Part) { fmt.Printf("%-22s up in %.1f s\n", p.Name, p.Took().Seconds()) },
	})
}
