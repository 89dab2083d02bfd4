// Command sim writes the table "users → hosts" of docs/scale.md: a seeded
// simulation of up to a million users, and the figures of docs/benchmarks.md for
// what they cost. It promises that no figure is its own: what was measured is
// read from the page, and what is assumed of users stands beside the table.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"gatehouse/test/load/internal/report"
)

func main() {
	root := flag.String("root", ".", "the repository")
	flag.Parse()
	text, err := table(*root)
	if err == nil {
		err = report.Write(filepath.Join(*root, "docs", "scale.md"), section, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
	fmt.Print(text)
}
