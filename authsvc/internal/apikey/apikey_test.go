package apikey_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/apikey"
)

const hash = `"sha256": "` + "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" + `"`

const end = `, "expires": "2100-01-01T00:00:00Z"`

// TestWhatIsMisspeltOpensNothing: a key of one server must not open the gate
// because its file says "server".
func TestWhatIsMisspeltOpensNothing(t *testing.T) {
	for name, tc := range map[string]struct{ key, says string }{
		"server for servers": {`"name": "a", "server": ["one"], ` + hash + end, `"server"`},
		"servers twice":      {`"name": "a", "servers": ["one"], "servers": [], ` + hash + end, `"servers" is given twice`},
		"no end":             {`"name": "a", ` + hash, "expires is missing"},
		"no hash":            {`"name": "a", "sha256": "00"` + end, "sha256"},
		"no name":            {hash + end, "name"},
		"no server is left":  {`"name": "a", "servers": [], ` + hash + end, "servers is empty; leave the word out"},
		"an empty server":    {`"name": "a", "servers": [""], ` + hash + end, "empty server"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := apikey.Parse([]byte(`{"keys": [{` + tc.key + `}]}`))
			if !errors.Is(err, apikey.ErrFile) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("err = %v, want one that says %s", err, tc.says)
			}
		})
	}
}

// TestAFileThatBroke opens what it opened before while its editor may be at work,
// and then nothing.
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
	for range 4 {
		now = now.Add(2 * time.Second)
		if _, ok := keys.Find(text); !ok {
			t.Fatal("the key opens no more, and its editor may be at work")
		}
	}
	before := keys.Generation()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		now = now.Add(2 * time.Second)
	}
	if _, ok := keys.Find(text); ok || keys.Generation() == before {
		t.Error("the key of a file that is gone opens still")
	}
	if got := keys.Ended([]string{key.Session(), "a login"}); !slices.Equal(got, []string{key.Session()}) {
		t.Errorf("what it has open goes on: %q", got)
	}
	for _, once := range []string{"was not read", "no key opens anything"} {
		if said := log.String(); strings.Count(said, once) != 1 {
			t.Errorf("want %q once:\n%s", once, said)
		}
	}
	// An upper-case hash is the same number.
	good := `{"keys": [{"name": "ci", "sha256": "` + strings.ToUpper(key.Hash) + `", "expires": "2100-01-01T00:00:00Z"}]}`
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	before = keys.Generation()
	now = now.Add(2 * time.Second)
	if _, ok := keys.Find(text); !ok || keys.Generation() == before || len(keys.Ended([]string{key.Session()})) > 0 {
		t.Error("the mended file is not read")
	}
}
