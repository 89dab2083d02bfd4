package jsonfile_test

import (
	"strings"
	"testing"

	"gatehouse/internal/jsonfile"
)

type file struct {
	Keys []struct {
		Name  string   `json:"name"`
		Roles []string `json:"roles"`
		Few   int      `json:"few"`
	} `json:"keys"`
	Map map[string][]string `json:"map"`
}

func TestDecode(t *testing.T) {
	var f file
	text := "\uFEFF" + `{"keys": [{"name": "a", "roles": ["name", "name"]}, {"name": "b"}], "map": {"x": ["keys"], "y": []}}` + "\n"
	if err := jsonfile.Decode([]byte(text), &f); err != nil || len(f.Keys) != 2 || f.Keys[1].Name != "b" {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestNothingIsLostInSilence: each fault says where it is, and what to do.
func TestNothingIsLostInSilence(t *testing.T) {
	for name, tc := range map[string]struct{ text, says string }{
		"nothing":        {"", "line 1, column 1: it ends too early"},
		"half":           {"{\"keys\":\n[", "line 2, column 2: it ends too early"},
		"unknown":        {`{"keys": [{"server": "x"}]}`, `unknown field "server"`},
		"twice":          {"{\"keys\": [],\n \"keys\": []}", `line 2, column 8: "keys" is given twice`},
		"twice in one":   {`{"keys": [{"name": "a"}, {"roles": [], "few": 1, "Roles": ["x"]}]}`, `"Roles" is given twice`},
		"twice in a map": {`{"map": {"x": [], "y": [], "x": ["z"]}}`, `"x" is given twice`},
		"a second":       {"{}\n{}", "line 2, column 2: something follows"},
		"a comma":        {"{\"keys\": [\n],\n}", "line 3, column 1: invalid character '}' looking for beginning of object key string; take out the comma"},
		"a comment":      {"{\n  # mine\n}", "line 2, column 3: invalid character '#' looking for beginning of object key string; JSON has no comments"},
		"another kind":   {`{"keys": [{"roles": "x"}]}`, "keys.roles: want a list, not string"},
		"no number":      {`{"keys": [{"few": "x"}]}`, "keys.few: want a number, not string"},
		"no object":      {`[]`, "want an object, not array"},
	} {
		t.Run(name, func(t *testing.T) {
			err := jsonfile.Decode([]byte(tc.text), &file{})
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("err = %v, want %q", err, tc.says)
			}
		})
	}
}
