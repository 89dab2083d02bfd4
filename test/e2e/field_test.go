//go:build e2e && field

package e2e

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// fieldTokens is how long an access token lives in this run: shorter than every
// program's margin, so that each use after the first is a renewal.
const fieldTokens = 30 // seconds

// program is one that people have: from nothing but the gate's address it must
// find who signs in, register, send its person to a browser, and list tools.
type program struct {
	name  string
	add   []string // makes the address known, nil where a file does
	file  string   // of the configuration, below the home
	text  string
	login []string // sends the person to the browser
	list  []string // shows that it is connected
	want  string   // what list then says
	gone  string   // what it says after a sign-out; "" where it cannot be asked
	once  bool     // it keeps no token: the run that signs in is the one that lists
}

func programs(url string) []program {
	return []program{
		{
			name: "Claude Code", add: []string{"claude", "mcp", "add", "--transport", "http", "gate", url},
			login: []string{"script", "-qec", "claude mcp login gate", "/dev/null"}, // it wants a terminal
			list:  []string{"claude", "mcp", "list"},
			want:  "Connected", gone: "Needs authentication",
		},
		{
			name: "Codex", add: []string{"codex", "mcp", "add", "gate", "--url", url},
			login: []string{"codex", "mcp", "login", "gate"}, list: []string{"codex", "mcp", "list"}, want: "OAuth",
		},
		{
			name: "opencode", file: ".config/opencode/opencode.json",
			text:  `{"mcp": {"gate": {"type": "remote", "url": "` + url + `", "enabled": true}}}`,
			login: []string{"opencode", "mcp", "auth", "gate"}, list: []string{"opencode", "mcp", "list"},
			want: "connected", gone: "auth",
		},
		{
			name: "fastmcp", login: []string{"fastmcp", "list", url, "--auth", "oauth"}, want: "whoami", once: true,
		},
		{
			name:  "Inspector CLI", // it keeps tokens in the desktop's keychain, which is not here
			login: []string{"mcp-inspector", "--cli", url, "--transport", "http", "--method", "tools/list"},
			want:  "whoami", once: true,
		},
	}
}

// TestField drives each program in turn, and names the one that fails. mcp-remote
// is TestMcpRemoteSignsIn; what signs in from a screen of its own (Gemini CLI,
// Copilot CLI) is TestFieldWithAToken, and VS Code, Cursor, Claude's and ChatGPT's connectors, go by their documented
// requests (TestRegistration, TestParallelRefresh).
func TestField(t *testing.T) {
	var realm struct{ AccessTokenLifespan int }
	admin(t, http.MethodGet, "", nil, &realm)
	admin(t, http.MethodPut, "", map[string]any{"accessTokenLifespan": fieldTokens}, nil)
	t.Cleanup(func() {
		admin(t, http.MethodPut, "", map[string]any{"accessTokenLifespan": realm.AccessTokenLifespan}, nil)
	})
	for _, p := range programs(gate.URL + "/mcp") {
		t.Run(p.name, func(t *testing.T) {
			who := newPerson(t)
			h := newHome(t)
			if p.file != "" {
				path := filepath.Join(h.dir, p.file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(p.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if p.add != nil {
				h.signIn(t, who.name, p.add...) // some sign in at once
			}
			begin := time.Now()
			said := h.signIn(t, who.name, p.login...)
			if p.once {
				if !strings.Contains(said, p.want) {
					t.Errorf("%v says nothing of %q:\n%s", p.login, p.want, said)
				}
				return
			}
			if out := h.run(t, p.list...); !strings.Contains(out, p.want) {
				t.Fatalf("%v says nothing of %q:\n%s\nand at the sign-in:\n%s", p.list, p.want, out, said)
			}
			t.Logf("%s: from the address to its tools in %.1f s", p.name, time.Since(begin).Seconds())
			<-time.After(fieldTokens*time.Second + time.Second)
			if out := h.run(t, p.list...); !strings.Contains(out, p.want) {
				t.Errorf("after its token's end %v says nothing of %q:\n%s", p.list, p.want, out)
			}
			if p.gone == "" {
				return
			}
			admin(t, http.MethodPost, "/users/"+who.id+"/logout", nil, nil)
			out := ""
			eventually(t, time.Minute, "the sign-out is noticed: "+out, func() bool {
				out = h.run(t, p.list...)
				return strings.Contains(out, p.gone) && !strings.Contains(out, p.want)
			})
		})
	}
}

// home is where a program lives, with an opener of links that only writes down
// which.
type home struct {
	dir, link string
	at        string   // where it is started
	env       []string // of the program itself
}

func newHome(t *testing.T) home {
	t.Helper()
	h := home{dir: t.TempDir()}
	h.at = h.dir
	h.link = filepath.Join(h.dir, "link")
	bin := filepath.Join(h.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"xdg-open", "open", "sensible-browser", "www-browser", "x-www-browser", "firefox", "google-chrome",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nfor last; do :; done\n"+
			"printf '%s' \"$last\" >\""+h.link+"\"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h home) command(ctx context.Context, argv ...string) *exec.Cmd {
	cache := os.Getenv("GATEHOUSE_FIELD")
	cmd := exec.CommandContext(ctx, "/usr/bin/env", argv...)
	cmd.Dir = h.at
	cmd.Env = append([]string{
		"HOME=" + h.dir, "TERM=dumb", "DISPLAY=:99", "CI=", "BROWSER=" + filepath.Join(h.dir, "bin", "xdg-open"),
		"PATH=" + strings.Join(
			[]string{filepath.Join(h.dir, "bin"), cache + "/node_modules/.bin", cache + "/py/bin", os.Getenv("PATH")},
			":",
		),
		"NODE_EXTRA_CA_CERTS=" + gate.CAFile(), "SSL_CERT_FILE=" + gate.CAFile(), "CODEX_CA_CERTIFICATE=" + gate.CAFile(),
		"REQUESTS_CA_BUNDLE=" + gate.CAFile(), "MCP_AUTO_OPEN_ENABLED=true",
		"DISABLE_AUTOUPDATER=1", "DISABLE_TELEMETRY=1", "OPENCODE_DISABLE_AUTOUPDATE=1",
	}, h.env...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func (h home) run(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, _ := h.command(ctx, argv...).CombinedOutput() // what it says is what counts
	return string(out)
}

var authorizeLink = regexp.MustCompile(`https?://[^\s"']+/protocol/openid-connect/auth\?[^\s"']+`)

// signIn runs a command and is the person whom it sends to a browser.
func (h home) signIn(t *testing.T, user string, argv ...string) string {
	t.Helper()
	_ = os.Remove(h.link)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := h.command(ctx, argv...)
	said := &transcript{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return said.String()
		case <-tick.C:
		}
		link, _ := os.ReadFile(h.link)
		if len(link) == 0 {
			link = []byte(authorizeLink.FindString(said.String()))
		}
		if len(link) == 0 {
			continue
		}
		page := browser(t)
		do(
			t,
			page,
			argv[0]+": sign in and consent",
			chromedp.Navigate(string(link)),
			keycloakLogin(user),
			chromedp.WaitVisible(
				`[name="accept"]`,
			),
			chromedp.Click(`[name="accept"]`),
			chromedp.WaitNotPresent(`[name="accept"]`),
		)
		if err := <-ended; err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, said.String())
		}
		return said.String()
	}
}
