package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

const fuzzed = 300

// Whatever bytes stand in the request line's path and in the headers, each
// line of the audit log is JSON, and none holds a credential.
func TestAuditLogSurvivesRandomHeaders(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: unlimited})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // bytes of a test
	names := []string{
		"User-Agent",
		"X-User-Email",
		"X-User-Id",
		"Mcp-Session-Id",
		"X-Request-ID",
		"Referer",
		"traceparent",
		"X-Forwarded-For",
		"Accept",
	}
	for i := range fuzzed {
		var request strings.Builder
		fmt.Fprintf(
			&request,
			"POST /message%s?sessionId=abcdefgh.querysecret%s HTTP/1.1\r\nHost: localhost\r\n",
			path(random),
			path(random),
		)
		fmt.Fprintf(
			&request,
			"Authorization: Bearer tokensecret%s\r\nCookie: s=cookiesecret%s\r\n",
			noise(random),
			noise(random),
		)
		for _, name := range names {
			fmt.Fprintf(&request, "%s: %s\r\n", name, noise(random))
		}
		g.raw(t, request.String()+"Content-Length: 0\r\nConnection: close\r\n\r\n")
		if i == fuzzed-1 {
			g.raw(t, "GET /last HTTP/1.1\r\nHost: localhost\r\nUser-Agent: last\r\nConnection: close\r\n\r\n")
		}
	}
	log := g.lines(t, fuzzed+1)
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	for _, line := range lines {
		if !json.Valid(line) || !utf8.Valid(line) {
			t.Errorf("not JSON: %q", line)
		}
	}
	for _, secret := range []string{"tokensecret", "cookiesecret", "querysecret"} {
		if bytes.Contains(log, []byte(secret)) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// noise is any bytes but those that end a line, or a request for nginx (NUL).
func noise(random *rand.Rand) string {
	raw := make([]byte, random.IntN(60))
	for i := range raw {
		raw[i] = byte(1 + random.IntN(255))
	}
	return strings.NewReplacer("\r", "", "\n", "").Replace(string(raw))
}

// path is noise without what would end the path or its query.
func path(random *rand.Rand) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '?' || r == '#' || r == 0x7f {
			return -1
		}
		return r
	}, noise(random))
}
