package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/internal/contract"
	"gatehouse/test/freeport"
	"gatehouse/test/look"
)

// onTCP starts the program where a browser finds it.
func onTCP(t *testing.T, issuer *issuertest.Issuer, change ...func(*config)) (g *gate, origin string) {
	t.Helper()
	port := freeport.Port(t)
	origin = fmt.Sprintf("http://localhost:%d", port)
	g = start(t, issuer, "memory", append(change, func(c *config) {
		c.PublicURL, c.Audience, c.Listen = origin, issuertest.Audience, fmt.Sprintf("127.0.0.1:%d", port)
	})...)
	g.public.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}}
	return g.ready(), origin
}

// bridgeOf answers as a bridge with two servers does.
func bridgeOf(t *testing.T) string {
	t.Helper()
	bridge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(contract.Servers{Servers: []contract.Server{
			{Path: "/mcp"},
			{Name: "files", Path: "/servers/files/mcp", Tools: []string{"list_directory", "read_file", "search_files"}},
			{Name: "slack", Path: "/servers/slack/mcp", Tools: []string{"slack_list_channels", "slack_post_message"}},
		}})
	}))
	t.Cleanup(bridge.Close)
	return bridge.URL + contract.PathServers
}

// TestPagesInChromium looks at every page that people see, at the width of a
// phone and of a desk, dark and light, in each language.
func TestPagesInChromium(t *testing.T) {
	issuer := issuertest.Start(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g, origin := onTCP(t, issuer, func(c *config) {
		c.AdminRole, c.ServersURL, c.LocalCA = "mcp-user", bridgeOf(t), ca
	})
	_, closed := onTCP(t, issuer, func(c *config) { c.RequireRole, c.AllowAnyUser, c.Contact = "none", false, "ops@example.com" })
	g.login(issuer, "User-Agent", "Mozilla/5.0 (iPhone) Version/18.1 Safari/605", "X-Real-IP", "192.0.2.7")
	g.wantVerdict("401", "Authorization", "Bearer garbage", "X-Real-IP", "192.0.2.9", "X-Request-Id", "refused-1")
	b := look.New(t)
	for _, p := range []struct{ name, url, en, ko string }{
		{"signed-out", origin + "/logout", "You are signed out", "로그아웃했습니다"},
		{"foreign-way-back", origin + "/login?return_to=//evil.example", "not valid", "올바른 로그인 링크가 아닙니다"},
		{"stale-sign-in", origin + "/callback?state=x&code=y", "has expired", "만료된 로그인"},
		{"page", origin + "/", "Your open sessions", "열린 세션"},
		{"missing-role", closed + "/", "You cannot use the servers yet", "아직 서버를 쓸 수 없습니다"},
		{"sign-out", issuer.URL + "/link?to=" + origin + "/logout", "Sign out?", "로그아웃할까요?"},
	} {
		for _, width := range []int64{360, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				language, says := "en", p.en
				if (width == 360) == (scheme == "light") { // each language narrow and wide, light and dark
					language, says = "ko", p.ko
				}
				b.Language(language)
				b.Look(width, scheme)
				b.Do(p.name, chromedp.Navigate(p.url))
				if strings.HasPrefix(p.url, issuer.URL) { // another site's link
					b.Do(p.name, chromedp.WaitVisible("#link"), chromedp.Click("#link"))
				}
				b.Do(p.name, chromedp.WaitVisible("h1"))
				if text := look.Eval[string](b, "document.body.innerText"); !strings.Contains(text, says) {
					t.Fatalf("%s shows:\n%s", p.name, text)
				}
				b.Shoot(fmt.Sprintf("%s-%s-%d-%s", p.name, language, width, scheme),
					"page-en-1280-light", "page-ko-1280-dark", "page-ko-360-light", "missing-role-en-1280-light")
				for _, fault := range b.Faults() {
					t.Errorf("%s, %s, %d px, %s: %s", p.name, language, width, scheme, fault)
				}
			}
		}
	}
}

// TestAccountByKeyboard ends another session and signs out without a mouse.
func TestAccountByKeyboard(t *testing.T) {
	issuer := issuertest.Start(t)
	g, origin := onTCP(t, issuer)
	other := g.login(issuer, "User-Agent", "Another/1.0", "X-Real-IP", "192.0.2.7")
	b := look.New(t)
	b.Look(360, "light")
	b.Do("sign in", chromedp.Navigate(origin+"/account"), chromedp.WaitVisible("#sessions"))
	tabTo(t, b, "192.0.2.7")
	b.Do("enter", chromedp.KeyEvent(kb.Enter))
	tabTo(t, b, "Yes, end it")
	b.Do("enter", chromedp.KeyEvent(kb.Enter))
	eventually(t, "the other session is gone from the page", func() bool {
		text, err := chromedp.Run(b.Ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
		return err == nil && strings.Contains(text, "Your open sessions") && !strings.Contains(text, "192.0.2.7")
	})
	g.wantVerdict("401", "Cookie", other)
	if text := look.Eval[string](b, "document.querySelector('[role=status]').innerText"); !strings.Contains(text, "Done") {
		t.Errorf("the page says of it %q", text)
	}
	tabTo(t, b, "Sign out")
	b.Do("enter", chromedp.KeyEvent(kb.Enter))
	eventually(t, "the provider's logout", func() bool {
		at, err := chromedp.Run(b.Ctx, chromedp.Location())
		return err == nil && strings.HasPrefix(at, issuer.URL+"/logout")
	})
}

// TestCopyingLeavesTheButtonAsItWas: what is for those who hear the page does not
// become visible, and the text that is copied is the line's.
func TestCopyingLeavesTheButtonAsItWasInChromium(t *testing.T) {
	issuer := issuertest.Start(t)
	_, origin := onTCP(t, issuer)
	b := look.New(t)
	b.Look(1280, "light")
	b.Do("sign in", chromedp.Navigate(origin+"/account"), chromedp.WaitVisible("#programs"))
	const button = "document.querySelector('details[open] button[data-copy]')"
	look.Eval[bool](b, `Object.defineProperty(navigator, "clipboard", {value: {
  writeText: text => { window.copied = text; return Promise.resolve(); }}}) && true`)
	// What the button says for two seconds is written down: a look now and then can miss it.
	look.Eval[bool](b, `(() => {
  const button = `+button+`;
  window.said = [];
  new MutationObserver(() => window.said.push(button.textContent))
    .observe(button, {characterData: true, childList: true, subtree: true});
  return true;
})()`)
	before := look.Eval[string](b, button+".innerHTML")
	look.Eval[bool](b, button+".click() || true")
	eventually(t, "the button says so", func() bool {
		return look.Eval[bool](b, `window.said.some(text => text.startsWith("Copied"))`)
	})
	if copied := look.Eval[string](b, "window.copied"); !strings.Contains(copied, "claude mcp add") {
		t.Errorf("copied %q", copied)
	}
	eventually(t, "the button is as it was", func() bool { return look.Eval[string](b, button+".innerHTML") == before })
}

// tabTo presses Tab until a control of this name has the focus, and wants each
// control on the way to show that it has it.
func tabTo(t *testing.T, b *look.Browser, name string) {
	t.Helper()
	for range 80 {
		b.Do("tab", chromedp.KeyEvent(kb.Tab))
		at := look.Eval[string](b, `(() => {
  const e = document.activeElement;
  return e == document.body ? "" : (e.getAttribute("aria-label") || e.textContent).trim();
})()`)
		if at == "" {
			continue // past the last one
		}
		if outline := look.Eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
			t.Errorf("%q does not show its focus", at)
		}
		if strings.Contains(at, name) {
			return
		}
	}
	t.Fatalf("no Tab leads to %q", name)
}
