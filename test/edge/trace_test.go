package edge

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestTraceContext: authsvc and the bridge are told one context, the client's
// own where it is well-formed, else one that has the request's id.
func TestTraceContext(t *testing.T) {
	t.Parallel()
	g := start(t, options{auth: allow})
	const good = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00"
	zeros := strings.Repeat("0", 32)
	for name, tc := range map[string]struct {
		parent, state string
		kept, passed  bool
	}{
		"none":                 {},
		"a client's":           {parent: good, state: "a=b,c=d", kept: true, passed: true},
		"without a state":      {parent: good, kept: true},
		"a state alone":        {state: "a=b"},
		"a state too long":     {parent: good, state: "a=" + strings.Repeat("b", 511), kept: true},
		"upper case":           {parent: strings.ToUpper(good), state: "a=b"},
		"no trace":             {parent: "00-" + zeros + "-00f067aa0ba902b7-01"},
		"no span":              {parent: "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"},
		"more behind it":       {parent: good + "-x", state: "a=b"},
		"a version to come":    {parent: "cc" + good[2:]},
		"something quite else": {parent: `"><script>`, state: "a=b"},
	} {
		t.Run(name, func(t *testing.T) { // in turn: the last request is what is looked at
			header := []string{}
			if tc.parent != "" {
				header = append(header, "traceparent", tc.parent)
			}
			if tc.state != "" {
				header = append(header, "tracestate", tc.state)
			}
			if res, body := g.do(t, http.MethodGet, "/mcp", "", header...); res.StatusCode != http.StatusOK {
				t.Fatalf("%s %s", res.Status, body)
			}
			auth, bridge := g.lastAuth.Load().Header, g.lastBridge.Load().Header
			got, state := bridge.Get("Traceparent"), bridge.Get("Tracestate")
			if auth.Get("Traceparent") != got || auth.Get("Tracestate") != state {
				t.Errorf("authsvc was told %v, the bridge %v", auth, bridge)
			}
			id := regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-01$`).FindStringSubmatch(got)
			switch made := id != nil && id[1] == bridge.Get("X-Request-Id"); {
			case tc.kept && got != tc.parent, !tc.kept && !made:
				t.Errorf("told %q for %q, request %s", got, tc.parent, bridge.Get("X-Request-Id"))
			}
			if want := map[bool]string{true: tc.state}[tc.passed]; state != want {
				t.Errorf("told the state %q, want %q", state, want)
			}
		})
	}
}
