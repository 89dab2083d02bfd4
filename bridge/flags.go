package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/session"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// flags are the face of the program. Each is also BRIDGE_NAME in the
// environment.
type flags struct {
	Listen      string `default:"127.0.0.1:3000" help:"Address, or unix:PATH, for clients (behind nginx)."`
	AdminListen string `help:"Address for /metrics and /health/live, /health/ready; none by default."`
	LogLevel    string `default:"info" help:"debug, info, warn or error."`
	Node        string `help:"Name of this bridge among several; begins its session ids."`

	Identity      string   `default:"none" enum:"none,signed" help:"none (a laptop: loopback only) or signed (X-User-Assertion of authsvc)."`
	IdentityKeys  string   `help:"URL of authsvc's key set, for --identity signed." placeholder:"URL"`
	SessionsEnded string   `help:"URL that tells which logins have ended; by default beside --identity-keys." placeholder:"URL"`
	PublicPrefix  string   `help:"Path in front of /sse and /mcp where a proxy mounts the bridge below one."`
	Origin        []string `help:"Origin of a browser page that may call; repeat for more."`
	Host          []string `help:"Further name that the Host header may have on a loopback listener; repeat for more."`

	Policy           string `help:"Policy file (YAML): who may see and call what." placeholder:"FILE"`
	Audit            string `help:"File for one JSON line a call." placeholder:"FILE"`
	AuditKeyFile     string `help:"File with the key of the hash of arguments in the audit file." placeholder:"FILE"`
	ResourceMetadata string `help:"URL of the protected resource metadata, for challenges of the policy." placeholder:"URL"`

	Isolation string   `default:"session" enum:"session,user,shared" help:"Who shares a child: session, user or shared."`
	Warm      int      `default:"0" help:"Children started ahead for sessions; only with --isolation session and --identity none."`
	Config    string   `help:"File with {\"mcpServers\": {...}}: each server at /servers/NAME/." placeholder:"FILE"`
	Command   []string `arg:"" optional:"" help:"The stdio server, after --."`

	MaxSessions     int           `default:"4096" help:"Sessions in all."`
	MaxUserSessions int           `default:"64" help:"Sessions of one user."`
	MaxCalls        int           `default:"64" help:"Calls in flight for each session; for an identity of 2026-07-28, times --max-user-sessions."`
	MaxBody         int           `default:"8388608" help:"Bytes of a request."`
	MaxLine         int           `default:"134217728" help:"Bytes of one line from a child."`
	MaxQueue        int           `default:"8388608" help:"Bytes that may wait for a slow reader."`
	MaxReplay       int           `default:"1048576" help:"Bytes kept for Last-Event-ID, for each session."`
	CallTime        time.Duration `default:"5m" help:"Time of a call; progress starts it anew."`
	StartTime       time.Duration `default:"30s" help:"Time until a child has answered initialize."`
	SessionIdle     time.Duration `default:"30m" help:"Time of a session without a request or a stream."`
	SessionAge      time.Duration `default:"24h" help:"Time of a session."`
	DrainTime       time.Duration `default:"10s" help:"Grace for calls in flight after SIGTERM."`
}

var errUsage = errors.New("usage")

const maxNode = 32

// parse reads args. done is true where help was asked for and printed.
func parse(args []string, stdout io.Writer) (f flags, done bool, err error) {
	parser, err := kong.New(&f, kong.Name("bridge"), kong.DefaultEnvars("BRIDGE"),
		kong.Description("Serves a stdio MCP server over SSE and Streamable HTTP.\nbridge [flags] -- COMMAND ARG...\nbridge policy check FILE explains a decision; bridge health URL asks a health page."),
		kong.Writers(stdout, stdout), kong.Exit(func(int) { done = true }))
	if err != nil {
		return f, false, err
	}
	if _, err := parser.Parse(args); err != nil && !done {
		return f, false, fmt.Errorf("%w: %w (bridge --help lists the flags)", errUsage, err)
	}
	if done {
		return f, true, nil
	}
	return f, false, f.validate()
}

func (f *flags) validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{errUsage}, args...)...))
	}
	switch {
	case f.Config == "" && len(f.Command) == 0:
		fault("no server: give a command after --, or --config FILE")
	case f.Config != "" && len(f.Command) > 0:
		fault("--config %s and a command are both given; keep one", f.Config)
	}
	if f.Identity == "none" && !httpkit.IsLocal(f.Listen) {
		fault("--identity none believes everybody and is refused on --listen %s; listen on loopback or a unix socket, or use --identity signed", f.Listen)
	}
	if f.Identity == "signed" && f.IdentityKeys == "" {
		fault("--identity signed needs --identity-keys URL, such as http://127.0.0.1:4181%s", contract.PathKeys)
	}
	if f.Warm < 0 {
		fault("--warm %d must be 0 or more", f.Warm)
	}
	if f.Warm > 0 && (f.Identity != "none" || f.Isolation != "session") {
		fault("--warm %d works only with --isolation session and --identity none (here %s and %s): elsewhere a child learns its user when it starts, or is shared", f.Warm, f.Isolation, f.Identity)
	}
	if f.Node != "" && !regexp.MustCompile(`^[a-z0-9-]{1,32}$`).MatchString(f.Node) {
		fault("--node %q: lower-case letters, digits and dashes, at most %d", f.Node, maxNode)
	}
	if f.PublicPrefix != "" && (!strings.HasPrefix(f.PublicPrefix, "/") || strings.HasSuffix(f.PublicPrefix, "/")) {
		fault("--public-prefix %q: begins with a slash and does not end in one", f.PublicPrefix)
	}
	for _, u := range []struct{ flag, value string }{
		{"--identity-keys", f.IdentityKeys}, {"--sessions-ended", f.SessionsEnded}, {"--resource-metadata", f.ResourceMetadata},
	} {
		if parsed, err := url.Parse(u.value); u.value != "" && (err != nil || parsed.Host == "") {
			fault("%s %q is not a URL", u.flag, u.value)
		}
	}
	for _, n := range []struct {
		flag  string
		value int64
	}{
		{"--max-sessions", int64(f.MaxSessions)}, {"--max-user-sessions", int64(f.MaxUserSessions)},
		{"--max-calls", int64(f.MaxCalls)}, {"--max-body", int64(f.MaxBody)}, {"--max-line", int64(f.MaxLine)},
		{"--max-queue", int64(f.MaxQueue)}, {"--call-time", int64(f.CallTime)}, {"--start-time", int64(f.StartTime)},
		{"--session-idle", int64(f.SessionIdle)}, {"--session-age", int64(f.SessionAge)}, {"--drain-time", int64(f.DrainTime)},
	} {
		if n.value <= 0 {
			fault("%s must be more than 0", n.flag)
		}
	}
	return errors.Join(faults...)
}

// stateless lets an identity have as many calls as all its sessions could.
func (f *flags) stateless() stateless.Options {
	o := stateless.DefaultOptions()
	o.Open = f.MaxCalls * f.MaxUserSessions
	return o
}

func (f *flags) limits() session.Limits {
	l := session.DefaultLimits()
	l.Sessions, l.SessionsPerUser, l.Calls = f.MaxSessions, f.MaxUserSessions, f.MaxCalls
	l.Body, l.Line, l.Queue, l.Replay = f.MaxBody, f.MaxLine, f.MaxQueue, f.MaxReplay
	l.CallTime, l.Start, l.Idle, l.Age = f.CallTime, f.StartTime, f.SessionIdle, f.SessionAge
	return l
}

// isolation, warm and serverLimits are what holds for one server: its entry's
// word where it has one.
func (f *flags) isolation(g config.Gate) string {
	if g.Isolation != "" {
		return g.Isolation
	}
	return f.Isolation
}

func (f *flags) warm(g config.Gate) int {
	switch {
	case g.Warm != nil:
		return *g.Warm
	case f.isolation(g) != "session":
		return 0 // --warm is for the others
	}
	return f.Warm
}

func (f *flags) serverLimits(g config.Gate) session.Limits {
	l := f.limits()
	if g.CallTime > 0 {
		l.CallTime = g.CallTime
	}
	return l
}

// cannot tells why these flags and the entry do not go together.
func (f *flags) cannot(s config.Server) error {
	isolation, warm := f.isolation(s.Gate), f.warm(s.Gate)
	switch {
	case s.URL != "":
		return fmt.Errorf("mcpServers.%s: url: remote servers are not served yet; give a command", s.Key)
	case warm > 0 && (f.Identity != "none" || isolation != "session"):
		return fmt.Errorf("mcpServers.%s: warm %d works only with isolation session and --identity none (here %s and %s)",
			s.Key, warm, isolation, f.Identity)
	}
	return nil
}

// endedURL is --sessions-ended, or its place beside the keys.
func (f *flags) endedURL() string {
	if f.SessionsEnded != "" {
		return f.SessionsEnded
	}
	u, err := url.Parse(f.IdentityKeys)
	if err != nil {
		return ""
	}
	u.Path, u.RawQuery = contract.PathSessionsEnded, ""
	return u.String()
}
