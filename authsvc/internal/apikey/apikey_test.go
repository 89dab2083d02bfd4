package apikey_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/apikey"
)

const hash = `"sha256": "` + "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" + `"`

// TestWhatIsMisspeltOpensNothing: a key of one server must not open the gate
// because its file says "server".
func TestWhatIsMisspeltOpensNothing(t *testing.T) {
	for name, tc := range map[string]struct{ key, says string }{
		"server for servers": {`{"name": "a", ` + hash + `, "server": ["one"], "expires": "2100-01-01T00:00:00Z"}`, `"server"`},
		"servers twice":      {`{"name": "a", ` + hash + `, "servers": ["one"], "servers": [], "expires": "2100-01-01T00:00:00Z"}`, `"servers" is given twice`},
		"no end":             {`{"name": "a", ` + hash + `}`, "expires is missing"},
		"no hash":            {`{"name": "a", "sha256": "00", "expires": "2100-01-01T00:00:00Z"}`, "sha256"},
		"no name":            {`{` + hash + `, "expires": "2100-01-01T00:00:00Z"}`, "name"},
		"an empty server":    {`{"name": "a", ` + hash + `, "servers": [""], "expires": "2100-01-01T00:00:00Z"}`, "empty server"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := apikey.Parse([]byte(`{"keys": [` + tc.key + `]}`))
			if !errors.Is(err, apikey.ErrFile) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("err = %v, want one that says %s", err, tc.says)
			}
		})
	}
}

// TestAFileThatBroke opens what it opened before, and is told of once.
func TestAFileThatBroke(t *testing.T) {
	key, text := apikey.New("ci", nil, nil, time.Now().Add(time.Hour))
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := apikey.Add(file, key); err != nil {
		t.Fatal(err)
	}
	now, log := time.Now(), bytes.Buffer{}
	keys, err := apikey.Open(file, func() time.Time { return now }, zerolog.New(&log))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(`{"keys": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		now = now.Add(2 * time.Second)
		if _, ok := keys.Find(text); !ok {
			t.Fatal("the key opens no more")
		}
	}
	if n := strings.Count(log.String(), "was not read"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	// An upper-case hash is the same number.
	good := `{"keys": [{"name": "ci", "sha256": "` + strings.ToUpper(key.Hash) + `", "expires": "2100-01-01T00:00:00Z"}]}`
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	before := keys.Generation()
	now = now.Add(2 * time.Second)
	if _, ok := keys.Find(text); !ok || keys.Generation() == before {
		t.Error("the mended file is not read")
	}
}
