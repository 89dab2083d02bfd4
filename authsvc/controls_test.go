package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/internal/contract"
)

// What a stranger writes into a path or an address never reaches the terminal of
// whoever reads the log or the audit stream as a control of it: neither one of C0
// nor of C1, nor bytes that are no text.
func TestNoControlOfAStrangerIsLogged(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.jsonl")
	g := start(t, issuertest.Start(t), "memory", func(c *config) { c.Audit = audit }).ready()
	g.do(g.public, http.MethodGet, "/auth", "", append(bearer("garbage"), contract.HeaderOriginalMethod, "POST",
		contract.HeaderOriginalURI, "/mcp/refused\u009b2J\x9b", contract.HeaderRealIP, "192.0.2.9\u0085")...)
	g.do(g.public, http.MethodGet, "/asked%C2%9B2J%9B%1B%7F", "")
	eventually(t, "both lines", func() bool {
		said := g.log.String()
		return strings.Contains(said, "/mcp/refused") && strings.Contains(said, "/asked")
	})
	stream, err := os.ReadFile(audit)
	if err != nil || !strings.Contains(string(stream), "/mcp/refused") {
		t.Fatalf("audit stream %q, %v", stream, err)
	}
	for name, text := range map[string]string{"log": g.log.String(), "audit stream": string(stream)} {
		at := strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' })
		if at >= 0 || !utf8.ValidString(text) {
			t.Errorf("the %s holds a control at %d, or no text: %q", name, at, text)
		}
	}
}
