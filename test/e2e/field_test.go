//go:build e2e && field

package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gatehouse/test/e2e/model"
)

// fieldTokens is how long an access token lives in this run: shorter than every
// program's margin, so that each use after the first is a renewal.
const fieldTokens = 30 // seconds

// program is one that people have: from nothing but the gate's address it must
// find who signs in, register, send its person to a browser, and list tools.
type program struct {
	name  string
	env   []string
	add   []string // makes the address known, nil where a file does
	file  string   // of the configuration, below the home
	text  string
	login []string // sends the person to the browser
	keys  []stroke // typed meanwhile, where login is a screen
	list  []string // shows that it is connected
	want  string   // what list then says
	gone  string   // what it says after a sign-out; "" where it cannot be asked
	once  bool     // it keeps no token: the run that signs in is the one that lists
}

func programs(url, model string) []program {
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
			name: "Copilot CLI", env: copilotEnv(model),
			add:   []string{"copilot", "mcp", "add", "--transport", "http", "gate", url},
			login: []string{"copilot"},
			keys:  []stroke{{"Do you trust the files", enter}, {"1 server connected", "/exit"}, {"/exit", enter}},
			// copilot -p does not wait for a renewal: it asks a model that answers at once without the tools.
			want: "connected", once: true,
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
// is TestMcpRemoteSignsIn; Gemini CLI, which takes a command that is typed while it starts
// for a prompt, is TestFieldWithAToken; VS Code, Cursor, Claude's and ChatGPT's connectors, go by their documented
// requests (TestRegistration, TestParallelRefresh).
func TestField(t *testing.T) {
	mind := httptest.NewServer(model.Handler("whoami"))
	t.Cleanup(mind.Close)
	var realm struct{ AccessTokenLifespan int }
	admin(t, http.MethodGet, "", nil, &realm)
	admin(t, http.MethodPut, "", map[string]any{"accessTokenLifespan": fieldTokens}, nil)
	t.Cleanup(func() {
		admin(t, http.MethodPut, "", map[string]any{"accessTokenLifespan": realm.AccessTokenLifespan}, nil)
	})
	for _, p := range programs(gate.URL+"/mcp", mind.URL) {
		t.Run(p.name, func(t *testing.T) {
			who := newPerson(t)
			h := newHome(t)
			h.env = p.env
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
				h.signIn(t, who.name, nil, p.add...) // some sign in at once
			}
			begin := time.Now()
			said := h.signIn(t, who.name, p.keys, p.login...)
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

const enter = "\r"

// stroke is what is typed once something is on the screen.
type stroke struct{ shown, keys string }

// escapes are what a terminal draws with.
var escapes = regexp.MustCompile("\x1b(\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)|[()].|[=>78])")

// signIn runs a command, types at its screen if it has one, and is the person
// whom it sends to a browser.
func (h home) signIn(t *testing.T, user string, keys []stroke, argv ...string) string {
	t.Helper()
	_ = os.Remove(h.link)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	name := argv[0]
	if keys != nil {
		argv = []string{"script", "-qfec", "stty rows 50 cols 150; exec " + strings.Join(argv, " "), "/dev/null"}
	}
	cmd := h.command(ctx, argv...)
	said := &transcript{}
	cmd.Stdout, cmd.Stderr = said, said
	var keyboard io.Writer
	if keys != nil {
		pipe, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		keyboard = pipe
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	visited, seen, typed := false, 0, time.Now()
	for {
		select {
		case err := <-ended:
			if visited && err != nil || len(keys) > 0 {
				t.Fatalf("%v: %v, with %v to be typed\n%s", argv, err, keys, escapes.ReplaceAllString(said.String(), ""))
			}
			return said.String()
		case <-tick.C:
		}
		if len(keys) > 0 {
			if text := said.String(); strings.Contains(escapes.ReplaceAllString(text[seen:], ""), keys[0].shown) {
				seen = len(text)
				_, _ = io.WriteString(keyboard, keys[0].keys)
				keys, typed = keys[1:], time.Now()
			}
		}
		if keyboard != nil && time.Since(typed) > 10*time.Second { // it was not listening yet; on an empty line it is nothing
			_, _ = io.WriteString(keyboard, enter)
			typed = time.Now()
		}
		if visited {
			continue
		}
		link, _ := os.ReadFile(h.link)
		if len(link) == 0 && keyboard == nil {
			link = []byte(authorizeLink.FindString(said.String()))
		}
		if len(link) == 0 {
			continue
		}
		visited = true
		do(
			t,
			browser(t),
			name+": sign in and consent",
			chromedp.Navigate(string(link)),
			keycloakLogin(user),
			chromedp.WaitVisible(
				`[name="accept"]`,
			),
			chromedp.Click(`[name="accept"]`),
			chromedp.WaitNotPresent(`[name="accept"]`),
		)
	}
}
