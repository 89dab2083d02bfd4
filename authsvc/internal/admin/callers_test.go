package admin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/admin"
)

// TestATokenFileSaysWhatIsWrong, by line, and never a token.
func TestATokenFileSaysWhatIsWrong(t *testing.T) {
	token := strings.Repeat("s", 40)
	for name, tc := range map[string]struct{ text, says string }{
		"good":            {"a " + token + "\n# one more\nb " + token + "b ask\n", ""},
		"alone":           {token + "\n", ""},
		"nothing":         {"# none\n", "holds no token"},
		"short":           {"a ssss\n", "line 1: a token has at least 32"},
		"another word":    {"a " + token + " end\n", "line 1: want NAME TOKEN"},
		"one for two":     {"a " + token + " ask\n\nb " + token + "\n", "line 3: b has the token of a"},
		"too many fields": {"a " + token + " ask ask\n", "line 1: want NAME TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tokens")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := admin.Callers{TokenFile: file}.Check()
			switch {
			case (err == nil) != (tc.says == ""):
				t.Errorf("err = %v, want %q", err, tc.says)
			case err != nil && (!strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), token)):
				t.Errorf("err = %v, want %q and no token", err, tc.says)
			}
		})
	}
}
