package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"gatehouse/test/stack"
)

// found is how `run user` finds the gate that runs.
type found struct{ URL, PlainURL, Issuer, CA string }

const foundFile = "gate.json"

func remember(dir string, gate *stack.Stack) error {
	text, err := json.Marshal(found{gate.URL, gate.PlainURL, gate.Issuer, gate.CAFile()})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, foundFile), text, 0o600)
}

var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// addUser makes a colleague with the role in the local realm.
func addUser(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("user", flag.ContinueOnError)
	dir := f.String("dir", ".run", "folder of the gate that runs")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 1 || !userName.MatchString(f.Arg(0)) {
		return fmt.Errorf(
			"%w: make user NAME=carol, a name of small letters, digits, dots and dashes; got %q",
			errUsage,
			f.Args(),
		)
	}
	text, err := os.ReadFile(filepath.Join(*dir, foundFile))
	if err != nil {
		return fmt.Errorf("no gate runs in %s: `make run` starts one", *dir)
	}
	var at found
	if err := json.Unmarshal(text, &at); err != nil {
		return fmt.Errorf("%s: %w", foundFile, err)
	}
	gate, err := stack.Attach(stack.Gate{
		URL: at.URL, HTTP: at.PlainURL, Issuer: at.Issuer, CA: at.CA, AdminPassword: stack.Password("admin"),
	})
	if err != nil {
		return err
	}
	if err := gate.AddUser(ctx, f.Arg(0)); err != nil {
		return fmt.Errorf("%s: %w", f.Arg(0), err)
	}
	_, _ = fmt.Fprintf(out, "%s may sign in at %s with the password %s\n", f.Arg(0), gate.URL, stack.Password(f.Arg(0)))
	return nil
}
