package config

import (
	"strings"
	"testing"
)

// A user's credential goes where the entry's server can take it, and nothing
// that all callers share stands beside it.
func TestCredentialsOfAnEntry(t *testing.T) {
	const command, url = `"command": "true"`, `"url": "https://far.example/mcp"`
	for name, c := range map[string]struct{ entry, block, says string }{
		"a file":               {command, `"file": "t"`, ""},
		"a header":             {url, ``, ""},
		"a header of a name":   {url, `"header": "X-Api-Key"`, ""},
		"a header to a child":  {command, `"header": "X-Api-Key"`, "header is for a url"},
		"no way to a child":    {command, ``, "give file or env"},
		"a file to a url":      {url, `"file": "t"`, "file and env are for a command"},
		"a variable to a url":  {url, `"env": "T"`, "file and env are for a command"},
		"no name of a header":  {url, `"header": "a b"`, "no name of a header"},
		"one of the protocol":  {url, `"header": "mcp-session-id"`, "says something else"},
		"a start without":      {url, `"missing": "start"`, "missing start is for a command"},
		"beside a shared one":  {url + `, "headers": {"authorization": "x"}`, ``, "stands in headers too"},
		"beside another":       {url + `, "headers": {"X-Team": "x"}`, ``, ""},
		"the same name shared": {url + `, "headers": {"x-api-key": "x"}`, `"header": "X-API-Key"`, "stands in headers too"},
	} {
		block := strings.TrimSuffix(`"from": "slack", `+c.block, ", ")
		s, err := parseOne(c.entry + `, "gatehouse": {"credentials": {` + block + `}}`)
		switch {
		case c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, want %q", name, err, c.says)
		case err == nil && s.URL != "" && s.Gate.Credentials.Header == "":
			t.Errorf("%s: no header is chosen", name)
		}
	}
}

func parseOne(entry string) (Server, error) {
	f, err := parse([]byte(`{"mcpServers": {"one": {`+entry+`}}}`), func(string) (string, bool) { return "", false })
	if err != nil {
		return Server{}, err
	}
	return f.Servers[0], f.Servers[0].Err
}
