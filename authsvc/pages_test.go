package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/test/freeport"
)

// screenshots is a folder to keep what the browser showed, for people to look at.
const screenshots = "GATEHOUSE_SCREENSHOTS"

// browser is a real Chromium in which a violated policy leaves a trace.
type browser struct {
	t   *testing.T
	ctx context.Context
}

const watchPolicy = `window.violations = [];
document.addEventListener("securitypolicyviolation", e => window.violations.push(e.violatedDirective + " " + e.blockedURI));`

func newBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium as root has none
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t, ctx}
	watch := page.AddScriptToEvaluateOnNewDocumentParams{Source: watchPolicy}
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, watch); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		at, _ := chromedp.Run(b.ctx, chromedp.Location())
		text, _ := chromedp.Run(b.ctx, chromedp.Text("body"))
		b.t.Fatalf("%s: %v, at %s:\n%s", what, err, at, text)
	}
}

// look sets the size of the screen and the scheme of its colours.
func (b *browser) look(width int64, scheme string) {
	b.t.Helper()
	b.do("look", chromedp.EmulateViewport(width, 800))
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		b.t.Fatal(err)
	}
}

func eval[T any](b *browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// faults lists what axe does not look for: what the policy stopped, what does
// not fit, a target too small to hit.
const faults = `(() => {
  const found = window.violations.map(v => "policy: " + v);
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push("scrolls sideways: " + wide + " > " + innerWidth);
  for (const e of document.querySelectorAll("button, a.button, summary, input:not([type=hidden])")) {
    if (e.checkVisibility() && e.getBoundingClientRect().height < 44) found.push("too small: " + e.outerHTML);
  }
  const shown = [...document.querySelectorAll("button, summary")].filter(e => e.checkVisibility());
  const names = shown.map(e => e.textContent.trim());
  if (new Set(names).size < names.length) found.push("two controls of one name: " + names.join(" | "));
  return found;
})()`

// axeFile is axe-core's axe.min.js; mk/pages.mk brings it.
const axeFile = "GATEHOUSE_AXE"

// axeFaults runs every rule of axe, also that a control's name holds the text
// that it shows, with all that folds opened.
const axeFaults = `(async () => {
  for (const d of document.querySelectorAll("details:not([name])")) d.open = true;
  const said = await axe.run({rules: {"label-content-name-mismatch": {enabled: true}, "target-size": {enabled: true}}});
  return said.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html).join(" | ").slice(0, 400));
})()`

// axe finds what the page that is shown keeps from people who use it otherwise.
func (b *browser) axe() []string {
	b.t.Helper()
	path := os.Getenv(axeFile)
	if path == "" {
		return nil
	}
	source, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do("axe", chromedp.Evaluate[chromedp.Void](string(source)))
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](axeFaults, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

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

// TestPagesInChromium looks at every page that people see, at the width of a
// phone and of a desk, dark and light.
func TestPagesInChromium(t *testing.T) {
	issuer := issuertest.Start(t)
	_, origin := onTCP(t, issuer, func(c *config) { c.AdminRole = "mcp-user" })
	b := newBrowser(t)
	pages := []struct{ name, url, shows string }{
		{"signed out", origin + "/logout", "You are signed out"},
		{"a foreign way back", origin + "/login?return_to=//evil.example", "not valid"},
		{"a stale sign-in", origin + "/callback?state=x&code=y", "has expired"},
		{"account", origin + "/account", "Your open sessions"},
		{"sign out", issuer.URL + "/link?to=" + origin + "/logout", "Sign out?"},
	}
	for _, p := range pages {
		for _, width := range []int64{360, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(width, scheme)
				b.do(p.name, chromedp.Navigate(p.url))
				if strings.HasPrefix(p.url, issuer.URL) { // another site's link
					b.do(p.name, chromedp.WaitVisible("#link"), chromedp.Click("#link"))
				}
				b.do(p.name, chromedp.WaitVisible("h1"))
				if text := eval[string](b, "document.body.innerText"); !strings.Contains(text, p.shows) {
					t.Fatalf("%s shows:\n%s", p.name, text)
				}
				if width == 1280 || scheme == "light" {
					b.shoot(fmt.Sprintf("%s %d %s", p.name, width, scheme))
				}
				for _, fault := range append(eval[[]string](b, faults), b.axe()...) {
					t.Errorf("%s, %d px, %s: %s", p.name, width, scheme, fault)
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
	b := newBrowser(t)
	b.look(360, "light")
	b.do("sign in", chromedp.Navigate(origin+"/account"), chromedp.WaitVisible("#sessions"))
	b.tabTo("192.0.2.7")
	b.do("enter", chromedp.KeyEvent(kb.Enter))
	b.tabTo("Yes, end it")
	b.do("enter", chromedp.KeyEvent(kb.Enter))
	eventually(t, "the other session is gone from the page", func() bool {
		text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
		return err == nil && strings.Contains(text, "Your open sessions") && !strings.Contains(text, "192.0.2.7")
	})
	g.wantVerdict("401", "Cookie", other)
	if text := eval[string](b, "document.querySelector('[role=status]').innerText"); !strings.Contains(text, "Done") {
		t.Errorf("the page says of it %q", text)
	}
	b.tabTo("Sign out")
	b.do("enter", chromedp.KeyEvent(kb.Enter))
	eventually(t, "the provider's logout", func() bool {
		at, err := chromedp.Run(b.ctx, chromedp.Location())
		return err == nil && strings.HasPrefix(at, issuer.URL+"/logout")
	})
}

// tabTo presses Tab until a control of this name has the focus, and wants each
// control on the way to show that it has it.
func (b *browser) tabTo(name string) {
	b.t.Helper()
	for range 80 {
		b.do("tab", chromedp.KeyEvent(kb.Tab))
		at := eval[string](b, `(() => {
  const e = document.activeElement;
  return e == document.body ? "" : (e.getAttribute("aria-label") || e.textContent).trim();
})()`)
		if at == "" {
			continue // past the last one
		}
		if outline := eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
			b.t.Errorf("%q does not show its focus", at)
		}
		if strings.Contains(at, name) {
			return
		}
	}
	b.t.Fatalf("no Tab leads to %q", name)
}
