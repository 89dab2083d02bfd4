package report_test

import (
	"os"
	"path/filepath"
	"testing"

	"gatehouse/test/load/internal/report"
)

func TestWriteLeavesTheRestAlone(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("# Title\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, w := range [][2]string{{"a", "first\n"}, {"b", "second\n"}, {"a", "again\n"}} {
		if err := report.Write(page, w[0], w[1]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want := "# Title\n\n<!-- a -->\nagain\n<!-- end of a -->\n\n<!-- b -->\nsecond\n<!-- end of b -->\n"
	if string(got) != want {
		t.Errorf("page:\n%s\nwant:\n%s", got, want)
	}
}
