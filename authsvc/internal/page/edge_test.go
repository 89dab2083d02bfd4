package page

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write lua/gatehouse/words.lua")

const wordsFile = "../../../lua/gatehouse/words.lua"

// TestTheEdgeHasTheseWords: nginx shows its refusals when authsvc is down as
// well, so that the texts of those, and the stylesheet, are copied to where Lua
// reads them.
func TestTheEdgeHasTheseWords(t *testing.T) {
	want := words(t)
	if *update {
		if err := os.WriteFile(wordsFile, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(wordsFile); err != nil || string(got) != want {
		t.Errorf("lua/gatehouse/words.lua is not what the catalogues say (%v): make words", err)
	}
}

func words(t *testing.T) string {
	t.Helper()
	all, err := readCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	style, err := files.ReadFile("style.css")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("-- The texts of the edge's pages, by language, and their stylesheet with its hash:\n" +
		"-- made by `make words` from authsvc/internal/page. A language is added there.\n\nreturn {\n")
	fmt.Fprintf(&b, "    style = [==[%s]==],\n    style_hash = %q,\n    languages = {\n", style, hashOf(string(style)))
	for _, tag := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "        %s = {\n", tag)
		for _, name := range slices.Sorted(maps.Keys(all[tag])) {
			if short, ok := strings.CutPrefix(name, "edge."); ok || name == "frame.ask" {
				fmt.Fprintf(&b, "            [%q] = %s,\n", short, quoted(all[tag][name]))
			}
		}
		b.WriteString("        },\n")
	}
	b.WriteString("    },\n}\n")
	return b.String()
}

// quoted is a string of Lua, which has no escapes for Unicode in 5.1.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}
