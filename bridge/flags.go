package main

import (
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"

	"gatehouse/internal/version"
)

// flags are the face of the program. Each is also BRIDGE_NAME in the
// environment, but for --port and --env: Kubernetes sets BRIDGE_PORT itself
// where a Service is named bridge.
type flags struct {
	Listen      string           `default:"127.0.0.1:3000" help:"Address, or unix:PATH, for clients (behind nginx)."`
	Port        int              `env:"-" placeholder:"N" help:"Short for --listen 127.0.0.1:N."`
	AdminListen string           `help:"Address for /metrics and /health/live, /health/ready; none by default."`
	Pprof       bool             `help:"Profiles of the running program at /debug/pprof/ of --admin-listen: what holds its memory, and what it does."`
	LogLevel    string           `default:"info" help:"debug, info, warn or error."`
	Node        string           `help:"Name of this bridge among several; begins its session ids. Lower-case letters, digits and dashes, at most 32."`
	Version     kong.VersionFlag `env:"-" help:"Print the version and end."`

	SSEPath      []string `name:"sse-path" default:"/sse" placeholder:"PATH" help:"Path of the event stream of 2024-11-05; repeat for more."`
	MessagePath  []string `default:"/message" placeholder:"PATH" help:"Path where its clients post; the first is the one they are told."`
	MCPPath      []string `name:"mcp-path" default:"/mcp" placeholder:"PATH" help:"Path of Streamable HTTP; repeat for more."`
	HealthPath   []string `default:"/health" placeholder:"PATH" help:"Path that tells whether a server can be started; repeat for more."`
	PublicPrefix string   `help:"Path in front of /sse and /mcp where a proxy mounts the bridge below one."`
	Header       []string `sep:"none" placeholder:"\"NAME: VALUE\"" help:"Header of every answer; repeat for more."`
	Origin       []string `help:"Origin of a browser page that may call; repeat for more."`
	Host         []string `help:"Further name that the Host header may have on a loopback listener; repeat for more."`

	Identity      string `default:"none" enum:"none,token,signed" help:"none (loopback only), token (a file of bearer tokens) or signed (X-User-Assertion of authsvc)."`
	AllowAnyone   bool   `help:"Let --identity none listen on an address that others reach: whoever does may call."`
	TokenFile     string `placeholder:"FILE" help:"Who may call, for --identity token: NAME TOKEN, or NAME sha256:HEX, in each line."`
	IdentityKeys  string `help:"URL of authsvc's key set, for --identity signed." placeholder:"URL"`
	SessionsEnded string `help:"URL that tells which logins have ended; by default beside --identity-keys." placeholder:"URL"`

	AuthsvcTokenFile string `help:"File with the token that authsvc's --internal-token-file knows, alone or as NAME TOKEN." placeholder:"FILE"`
	AuthsvcCA        string `help:"Authority of authsvc's certificate, for --identity-keys https://..." placeholder:"FILE"`
	AuthsvcCert      string `help:"Certificate that authsvc's --internal-client-ca has signed." placeholder:"FILE"`
	AuthsvcKey       string `help:"Its key." placeholder:"FILE"`

	Policy           string `help:"Policy file (YAML): who may see and call what." placeholder:"FILE"`
	Audit            string `help:"File for one JSON line a call." placeholder:"FILE"`
	AuditKeyFile     string `help:"File with the key of the hash of arguments in the audit file." placeholder:"FILE"`
	ResourceMetadata string `help:"URL of the protected resource metadata, for challenges of the policy." placeholder:"URL"`

	Isolation     string   `default:"session" enum:"session,user,shared" help:"Who shares a child: session, user or shared."`
	Warm          int      `default:"0" help:"Children started ahead for sessions; only with --isolation session and --identity none."`
	Config        string   `help:"File with {\"mcpServers\": {...}}: each server at /servers/NAME/, and all of them at the paths of one." placeholder:"FILE"`
	NameSeparator string   `default:"__" help:"Between a server's name and the tool's, where all servers are one."`
	Cwd           string   `help:"Folder in which the command runs." placeholder:"DIR"`
	Env           []string `env:"-" sep:"none" help:"Variable for the command; repeat for more." placeholder:"NAME=VALUE"`
	Command       []string `arg:"" optional:"" help:"The stdio server, after --."`

	Sandbox        string   `default:"on" enum:"on,off" help:"A box for each child: what it may read, write and reach. off: none has one."`
	RequireSandbox bool     `help:"Refuse to start where the kernel cannot give the whole box, and entries that switch it off."`
	SandboxRead    []string `sep:"none" placeholder:"PATH" help:"What the command may read and execute beside the usual; repeat for more."`
	SandboxWrite   []string `sep:"none" placeholder:"PATH" help:"What it may write, too; repeat for more."`
	SandboxConnect []string `placeholder:"PORT" help:"TCP port that it may connect to beside 53, 443 and those that its arguments and variables name; any, or unix for sockets of this machine; repeat for more."`
	SandboxDir     string   `placeholder:"DIR" help:"Where each child gets a home and a folder for temporary files; by default the system's for these."`
	SandboxCache   string   `placeholder:"DIR" help:"Where the downloads of servers are kept, for each user apart; by default in the user's cache."`
	ChildMemory    string   `default:"1G" placeholder:"BYTES" help:"Memory of a child, where a control group is delegated to the bridge; K, M, G; 0 is no bound."`
	ChildPids      int      `default:"512" help:"Processes and threads of a child, where a control group is delegated; 0 is no bound."`
	ChildCPU       float64  `name:"child-cpu" default:"0" help:"Processors of a child, where a control group is delegated; 0 is no bound."`

	MaxSessions     int           `default:"4096" help:"Sessions in all."`
	MaxUserSessions int           `default:"64" help:"Sessions of one user."`
	UserSessionsAt  string        `default:"replace" enum:"replace,refuse" help:"Past --max-user-sessions: replace the user's idlest session, or refuse the new one."`
	MaxCalls        int           `default:"64" help:"Calls in flight for each session; for an identity of 2026-07-28, times --max-user-sessions."`
	MaxBody         int           `default:"8388608" help:"Bytes of a request."`
	MaxBodies       int           `default:"16777216" help:"Bytes that large requests may hold together until each is handed on; more wait in line."`
	BodyTime        time.Duration `default:"30s" help:"Time of a request's body; each --body-rate bytes add a second."`
	BodyRate        int           `default:"1024" help:"Bytes a second that a request's body must come with, at least."`
	MaxLine         int           `default:"134217728" help:"Bytes of one line from a child."`
	MaxQueue        int           `default:"8388608" help:"Bytes that may wait for a slow reader."`
	MaxWaiting      int           `default:"8388608" help:"Bytes that may wait until a busy child reads."`
	MaxChildren     int           `default:"0" help:"Children at once; 0 is what this machine carries."`
	MaxReplay       int           `default:"1048576" help:"Bytes kept for Last-Event-ID, for each session."`
	CallTime        time.Duration `default:"5m" help:"Time of a call; progress starts it anew."`
	GoneTime        time.Duration `default:"30s" help:"Time that a call of a session goes on whose client went away before it had an event id to come back with."`
	Sleep           time.Duration `default:"0s" help:"Time that a child does nothing until it ends and its session sleeps; the session's next call wakes one. 0 is never: what a child keeps in its memory is lost. Not with --isolation shared."`
	ListTime        time.Duration `default:"10s" help:"Time that a list of all servers waits for one of them."`
	StartTime       time.Duration `default:"30s" help:"Time until a child has answered initialize."`
	SessionIdle     time.Duration `default:"30m" help:"Time of a session without a request or a stream."`
	SessionAge      time.Duration `default:"24h" help:"Time of a session."`
	StopTime        time.Duration `default:"2s" help:"Time of a child that is to end, from the end of its input to SIGTERM."`
	KillTime        time.Duration `default:"3s" help:"Time of a child that is to end, from SIGTERM to SIGKILL."`
	DrainTime       time.Duration `default:"10s" help:"Grace for calls in flight after SIGTERM."`
}

// parse reads args. done is true where help or the version was asked for and
// printed.
func parse(args []string, stdout io.Writer) (f flags, done bool, err error) {
	parser, err := newParser(&f, stdout, &done)
	if err != nil {
		return f, false, err
	}
	if _, err := parser.Parse(args); err != nil && !done {
		return f, false, fmt.Errorf("%w: %w (bridge --help lists the flags)", errUsage, err)
	}
	if done {
		return f, true, nil
	}
	if err := f.check(); err != nil {
		return f, false, err
	}
	if f.Port != 0 {
		f.Listen = fmt.Sprintf("127.0.0.1:%d", f.Port)
	}
	return f, false, nil
}

func newParser(f *flags, stdout io.Writer, done *bool) (*kong.Kong, error) {
	return kong.New(f, kong.Name("bridge"), kong.DefaultEnvars("BRIDGE"), kong.Description(commandHelp()),
		kong.Vars{"version": version.Of("bridge")},
		kong.Writers(stdout, stdout), kong.Exit(func(int) { *done = true }))
}
