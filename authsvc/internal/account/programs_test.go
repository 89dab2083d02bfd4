package account

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var pages = map[string]string{
	"claude": "claude-web-desktop", "gemini": "gemini-cli", "copilot": "copilot-cli", "stdio": "stdio-only",
}

// TestThePageSaysWhatTheDocumentationSays: each line, and each version that was
// tried, stands on the client's page in docs/clients, whose lines are tried.
func TestThePageSaysWhatTheDocumentationSays(t *testing.T) {
	spaces := regexp.MustCompile(`\s+`)
	for _, p := range programs("", "https://mcp.example.com/mcp") {
		name, ok := pages[p.ID]
		if !ok {
			name = p.ID
		}
		raw, err := os.ReadFile(filepath.Join("../../../docs/clients", name+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		text := strings.NewReplacer("--cacert.run/ca.pem", "", "https://localhost:8443", "https://mcp.example.com").
			Replace(spaces.ReplaceAllString(string(raw), ""))
		for _, l := range p.Lines {
			if !strings.Contains(text, spaces.ReplaceAllString(l.Text, "")) {
				t.Errorf("docs/clients/%s.md lacks\n%s", name, l.Text)
			}
		}
		version := p.Tried[strings.LastIndex(p.Tried, " ")+1:]
		if tried := !strings.Contains(text, "|nottriedhere|"); tried != (p.Tried != "") ||
			p.Tried != "" && !strings.Contains(text, "|"+version+"|") {
			t.Errorf("docs/clients/%s.md does not say what the page says: tried with %q", name, p.Tried)
		}
		if strings.Contains(text, "|registration|") != p.Followed {
			t.Errorf("docs/clients/%s.md and the page disagree about the registration: %v", name, p.Followed)
		}
	}
}
