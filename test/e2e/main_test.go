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
	return m.Run()
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
