package reference

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Said is what a function writes to standard error, where the flags of Go's own
// library print themselves. No test may run beside it.
func Said(t *testing.T, run func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stderr
	os.Stderr = file
	defer func() { os.Stderr = was }()
	run()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Block is text as a program prints it.
func Block(text string) string {
	return "```text\n" + strings.TrimRight(strings.ReplaceAll(text, "\t", "    "), "\n ") + "\n```"
}
