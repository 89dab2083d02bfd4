package main

import (
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// startSays is what is wrong with a start that is right but for args, "" where
// nothing is.
func startSays(args ...string) string {
	_, _, err := parse(append([]string{
		"--public-url=https://gate.example.com", "--issuer=https://sso.example.com", "--client-id=c", "--client-secret=s",
		"--allow-any-user",
	}, args...), io.Discard, io.Discard)
	if err != nil {
		return oneLine(err)
	}
	return ""
}

// A space beside a comma would make an item that matches nothing, and a role that
// a rule denies by would be dropped without a word: each list flag refuses it.
func TestListsWithSpacesOrNothingInThemStopTheStart(t *testing.T) {
	parser, err := kong.New(&config{}, kong.DefaultEnvars("AUTHSVC"))
	if err != nil {
		t.Fatal(err)
	}
	lists := 0
	for _, flag := range parser.Model.Flags {
		if !flag.IsSlice() {
			continue
		}
		lists++
		sep := string(flag.Tag.Sep)
		for _, value := range []string{
			"a" + sep + " contractor", "contractor " + sep + "a", "a" + sep + "\tcontractor", "a" + sep + "\u00a0", " ",
			"a" + sep + sep + "b", sep + "a",
		} {
			if said := startSays("--" + flag.Name + "=" + value); !strings.Contains(said, "--"+flag.Name+` "`) {
				t.Errorf("--%s=%q: %q", flag.Name, value, said)
			}
		}
	}
	if lists < 10 {
		t.Errorf("%d list flags: are they still found?", lists)
	}
	if said := startSays("--roles=mcp-*, contractor"); !strings.Contains(said, `--roles " contractor": want`) {
		t.Errorf("%q does not name the value", said)
	}
	t.Setenv("AUTHSVC_ROLES", "mcp-*, contractor")
	if said := startSays(); !strings.Contains(said, `--roles " contractor": want`) {
		t.Errorf("by the environment: %q", said)
	}
}

// With no scope demanded each token of the issuer with this gate's audience would
// open it, whatever its scopes are: a variable that holds nothing must not do that.
func TestAListThatMustHoldSomethingStopsTheStart(t *testing.T) {
	for _, name := range []string{"scopes", "login-scopes"} {
		if said := startSays("--" + name + "="); !strings.Contains(said, "--"+name+": it is empty") {
			t.Errorf("--%s=: %q", name, said)
		}
	}
	t.Setenv("AUTHSVC_SCOPES", "")
	if said := startSays(); !strings.Contains(said, "--scopes: it is empty") {
		t.Errorf("by the environment: %q", said)
	}
}

// What is good is taken as it stands: a role may have a space in its name, and a
// list without a default may hold nothing.
func TestListsThatAreGoodAreTaken(t *testing.T) {
	for _, args := range [][]string{
		{"--roles=MCP Users,mcp-*"}, {"--subject-claim=", "--roles="}, {"--scopes=a,b", "--scopes=c"},
	} {
		if said := startSays(args...); said != "" {
			t.Errorf("%q: %s", args, said)
		}
	}
}
