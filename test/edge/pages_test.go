package edge

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/test/look"
)

// navigation is what a browser sends when a person goes somewhere.
var navigation = []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode", "navigate"}

var styleText = regexp.MustCompile(`(?s)<style>(.*)</style>`)

// A person who is refused gets a page in their language that says what happened,
// what to do, and which request it was; a program gets JSON, as ever.
func TestRefusalsArePagesForPeople(t *testing.T) {
	t.Parallel()
	open := start(t, options{})
	refusing := start(t, options{auth: refuse(403)})
	away := start(t, options{auth: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }})
	busy := start(t, options{limits: patient(shipped(t))})
	// Until one is too many. What an address may have comes back once a minute, so on
	// a slow machine one more may be needed each time.
	ask := func(g *gate, path string, sent ...string) (*http.Response, string) {
		res, body := g.do(t, "GET", path, "", sent...)
		for n := 0; g == busy && res.StatusCode != http.StatusTooManyRequests && n < 500; n++ {
			res, body = g.do(t, "GET", path, "", sent...)
		}
		return res, body
	}
	for _, c := range []struct {
		gate         *gate
		path, host   string
		status       int
		says, sagt   string
		leadsNowhere bool
	}{
		{gate: refusing, path: "/mcp", status: 403, says: "This is not open to you", sagt: "이용할 수 없습니다"},
		{gate: open, path: "/nothing", status: 404, says: "nothing at this address", sagt: "아무것도 없습니다"},
		{gate: open, path: "/.well-known/nothing", status: 404, says: "nothing at this address", sagt: "아무것도 없습니다"},
		{gate: open, path: "/", host: "other.example", status: 421, says: "does not answer to that host name", sagt: "호스트 이름이 아닙니다", leadsNowhere: true},
		{gate: busy, path: "/nothing", status: 429, says: "Too many requests", sagt: "요청이 너무 많습니다"},
		{gate: away, path: "/mcp", status: 503, says: "cannot answer right now", sagt: "응답할 수 없습니다"},
		{gate: away, path: "/login", status: 503, says: "cannot answer right now", sagt: "응답할 수 없습니다"},
	} {
		for language, says := range map[string]string{"en": c.says, "ko": c.sagt} {
			sent := append(slices.Clone(navigation), "Accept-Language", language, "Authorization", bearer, "Host", c.host)
			res, body := ask(c.gate, c.path, sent...)
			h := res.Header
			style := styleText.FindStringSubmatch(body)
			if res.StatusCode != c.status || !strings.Contains(body, says) || h.Get("Content-Language") != language || style == nil {
				t.Errorf("%s %s: %s %q\n%.300s", c.path, language, res.Status, h, body)
				continue
			}
			if !strings.Contains(body, "<code>"+h.Get("X-Request-Id")+"</code>") || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s does not name the request %s: %q", c.path, language, h.Get("X-Request-Id"), h)
			}
			sum := sha256.Sum256([]byte(style[1]))
			if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(h.Get("Content-Security-Policy"), hash) {
				t.Errorf("%s: the policy %q does not let the style %s in", c.path, h.Get("Content-Security-Policy"), hash)
			}
			if strings.Contains(body, "href=\"/\"") == c.leadsNowhere {
				t.Errorf("%s: a way to the first page: %v", c.path, !c.leadsNowhere)
			}
		}
		for name, sent := range map[string][]string{
			"curl":       {"Accept", "*/*"},
			"a client":   {"Accept", "application/json, text/event-stream"},
			"a stream":   {"Accept", "text/event-stream"},
			"a script":   {"Accept", "text/html", "Sec-Fetch-Mode", "cors"},
			"all of MCP": {"Accept", "text/html, text/event-stream"},
		} {
			res, body := ask(c.gate, c.path, append(sent, "Authorization", bearer, "Host", c.host)...)
			if res.StatusCode != c.status || !json.Valid([]byte(body)) || res.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s for %s: %s %.200s, want %d in JSON", c.path, name, res.Status, body, c.status)
			}
		}
	}
}

// A person who opens an endpoint in a browser is shown how to connect. What a
// client of MCP sends reaches the bridge.
func TestAnEndpointInABrowserIsThePage(t *testing.T) {
	t.Parallel()
	g := start(t, options{})
	for path, want := range map[string]string{
		"/mcp": "/", "/sse": "/", "/mcp/": "/", "/servers/files.v2/mcp": "/?server=files.v2", "/mcp?a=%0d%0ab": "/",
	} {
		g.lastBridge.Store(nil)
		res, _ := g.do(t, "GET", path, "", append([]string{"Authorization", bearer}, navigation...)...)
		if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != want || g.lastBridge.Load() != nil {
			t.Errorf("%s: %s to %q, want 303 to %q, and no call", path, res.Status, res.Header.Get("Location"), want)
		}
		if res.Header.Get("RateLimit-Limit") != "" {
			t.Errorf("%s took a call of the person's", path)
		}
		for _, sent := range [][]string{
			{"Accept", "text/event-stream"}, {"Accept", "text/html, text/event-stream", "Sec-Fetch-Mode", "navigate"},
			{"Accept", "text/html"}, {"Accept", "*/*"}, {"Accept", "text/html", "Sec-Fetch-Mode", "cors"},
		} {
			res, _ := g.do(t, "GET", path, "", append([]string{"Authorization", bearer}, sent...)...)
			if res.StatusCode != http.StatusOK || g.lastBridge.Load() == nil {
				t.Errorf("%s with %q: %s, want the bridge", path, sent, res.Status)
			}
		}
	}
	g = start(t, options{auth: refuse(401)})
	res, _ := g.do(t, "GET", "/mcp", "", navigation...)
	if to := res.Header.Get("Location"); res.StatusCode != http.StatusFound || to != "/login?return_to=/mcp" {
		t.Errorf("who is not signed in: %s to %q", res.Status, to)
	}
}

// TestRefusalPagesInChromium: nothing of them is kept from anybody, wide and
// narrow, light and dark, and the policy lets their style in.
func TestRefusalPagesInChromium(t *testing.T) {
	g := start(t, options{auth: refuse(401)})
	b := look.New(t, strings.TrimPrefix(g.url, "https://"))
	for _, c := range []struct {
		language, says, scheme string
		width                  int64
	}{
		{"en", "There is nothing at this address", "dark", 360}, {"ko", "이 주소에는 아무것도 없습니다", "light", 1280},
		{"en", "There is nothing at this address", "light", 360}, {"ko", "이 주소에는 아무것도 없습니다", "dark", 1280},
	} {
		b.Language(c.language)
		b.Look(c.width, c.scheme)
		b.Do("a page that is not there", chromedp.Navigate(g.url+"/nothing"))
		if text := look.Eval[string](b, "document.body.innerText"); !strings.Contains(text, c.says) {
			t.Fatalf("it shows:\n%s", text)
		}
		b.Shoot("refused-"+c.language+"-"+c.scheme, "refused-ko-light")
		for _, fault := range b.Faults() {
			t.Errorf("%+v: %s", c, fault)
		}
	}
}
