// Package look opens pages in a real Chromium, finds what keeps people from
// using them, and takes pictures. It must never know whose pages they are.
package look

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// screenshots is a folder to keep what the browser showed, for people to look at.
const screenshots = "GATEHOUSE_SCREENSHOTS"

// life of a browser: all pages of a test, and its start, on a busy machine.
const life = 5 * time.Minute

// Browser is a real Chromium in which a violated policy leaves a trace.
type Browser struct {
	Ctx context.Context
	t   *testing.T
}

const watchPolicy = `window.violations = [];
document.addEventListener("securitypolicyviolation", e => window.violations.push(e.violatedDirective + " " + e.blockedURI));`

// New starts one until the test ends. It trusts the certificates of these
// addresses, and no other that it does not know.
func New(t *testing.T, trusted ...string) *Browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"))
	for _, addr := range trusted {
		options = append(options, chromedp.Flag("ignore-certificate-errors-spki-list", pin(t, addr)))
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium as root has none
	}
	ctx, cancel := context.WithTimeout(context.Background(), life)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &Browser{ctx, t}
	watch := page.AddScriptToEvaluateOnNewDocumentParams{Source: watchPolicy}
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, watch); err != nil {
		t.Fatal(err)
	}
	return b
}

// Do runs steps and says where the browser stood when one failed.
func (b *Browser) Do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.Ctx, steps...); err != nil {
		at, _ := chromedp.Run(b.Ctx, chromedp.Location())
		text, _ := chromedp.Run(b.Ctx, chromedp.Text("body"))
		b.t.Fatalf("%s: %v, at %s:\n%s", what, err, at, text)
	}
}

// Look sets the size of the screen and the scheme of its colours.
func (b *Browser) Look(width int64, scheme string) {
	b.t.Helper()
	b.Do("look", chromedp.EmulateViewport(width, 800))
	if _, err := chromedp.Call(b.Ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		b.t.Fatal(err)
	}
}

// Eval is what a script returns.
func Eval[T any](b *Browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.Ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// Shoot keeps a picture of the whole page, where pictures are asked for and its
// name is one of those that are kept.
func (b *Browser) Shoot(name string, kept ...string) {
	b.t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" || !slices.Contains(kept, name) {
		return
	}
	picture, err := chromedp.Run(b.Ctx, chromedp.FullScreenshot(100))
	if err == nil {
		picture, err = shrink(picture)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644)
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
  for (const d of document.querySelectorAll("details")) { d.removeAttribute("name"); d.open = true; }
  const said = await axe.run({rules: {"label-content-name-mismatch": {enabled: true}, "target-size": {enabled: true}}});
  return said.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html).join(" | ").slice(0, 400));
})()`

// Faults are what is wrong with the page that is shown: for every eye and hand,
// and, by axe, for people who use it otherwise.
func (b *Browser) Faults() []string {
	b.t.Helper()
	path := os.Getenv(axeFile)
	seen := Eval[[]string](b, faults)
	if path == "" {
		return seen
	}
	source, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Do("axe", chromedp.Evaluate[chromedp.Void](string(source)))
	found, err := chromedp.Run(b.Ctx, chromedp.Evaluate[[]string](axeFaults, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return append(seen, found...)
}

// Language sets what the browser asks for.
func (b *Browser) Language(accept string) {
	b.t.Helper()
	headers := network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": accept}}
	if _, err := chromedp.Call(b.Ctx, network.SetExtraHTTPHeaders, headers); err != nil {
		b.t.Fatal(err)
	}
}

// pin is the hash of the key that an address shows.
func pin(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its key is what is asked for
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	sum := sha256.Sum256(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
