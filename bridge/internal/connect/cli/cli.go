// Package cli is the face of the other end: the flags of `bridge connect`
// and `bridge logout`, and what they are wired to. It must never know how the
// bridge serves: a file without that is half as large.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"gatehouse/bridge/internal/connect"
	"gatehouse/bridge/internal/connect/keyring"
	"gatehouse/bridge/internal/connect/outbound"
	"gatehouse/bridge/internal/connect/signin"
	"gatehouse/internal/version"
)

type flags struct {
	URL string `arg:"" optional:"" help:"The server's /mcp or /sse; also BRIDGE_CONNECT_URL."`

	CA        string   `help:"File with further certificate authorities, in PEM." placeholder:"FILE"`
	Header    []string `sep:"none" help:"Header sent to the server; repeat for more." placeholder:"NAME: VALUE"`
	TokenFile string   `help:"File with a token that somebody else renews, in place of a sign-in." placeholder:"FILE"`

	Device           bool             `help:"Sign in by a code on another device."`
	NoBrowser        bool             `help:"Print the address to sign in at, and open no browser."`
	NoSignIn         bool             `help:"Fail where the server wants a sign-in."`
	ClientID         string           `name:"client-id" help:"Client registered ahead, or the https URL of a client id metadata document." placeholder:"ID"`
	ClientSecretFile string           `help:"File with the secret of --client-id." placeholder:"FILE"`
	Issuer           string           `help:"The one authorization server to sign in at; a server that names another is refused." placeholder:"URL"`
	Scope            []string         `help:"Scope to ask for beside what the server wants; repeat for more."`
	CallbackPort     int              `help:"Port of this machine that the browser comes back to; 0 takes a free one."`
	Tokens           string           `help:"Folder for tokens; gatehouse in the user's configuration folder by default." placeholder:"DIR"`
	Keyring          bool             `help:"Seal the tokens with a key of the system's keyring; it must be reachable."`
	Version          kong.VersionFlag `env:"-" help:"Print the version and end."`
	LogLevel         string           `default:"warn" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// What a bridge tells a child that is the other end: a command line can be read
// by everybody, an environment by its user alone.
const (
	EnvURL     = "BRIDGE_CONNECT_URL"
	EnvHeaders = "BRIDGE_CONNECT_HEADERS" // a JSON object

	// The file in $CREDENTIALS_DIRECTORY with the credential of the user whom the
	// child serves, and the header that it goes into.
	EnvCredential       = "BRIDGE_CONNECT_CREDENTIAL"        //nolint:gosec // a name
	EnvCredentialHeader = "BRIDGE_CONNECT_CREDENTIAL_HEADER" //nolint:gosec // a name
)

// ErrUsage says that the arguments are wrong.
var ErrUsage = errors.New("usage")

// RFC 9110, 5.1 and 5.5.
var (
	headerName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	headerValue = regexp.MustCompile(`^[\t\x20-\x7e\x80-\x{10ffff}]*$`)
)

// Streams are where a command writes; what it says to a person goes to Err.
type Streams struct{ Out, Err io.Writer }

// gcPercent collects early: what runs beside every client of a desktop is to be
// small before it is fast.
const gcPercent = 50

// Connect runs until standard input ends.
func Connect(ctx context.Context, args []string, s Streams) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	f, done, err := parse("connect", args, s)
	if err != nil || done {
		return err
	}
	header, err := f.headers(os.Getenv(EnvHeaders))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	transport, err := outbound.Transport(f.CA)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // one of four
	log := slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: level}))
	creds, err := f.credentials(header, transport, s)
	if err != nil {
		return err
	}
	c, err := connect.New(connect.Options{
		URL: f.URL, Header: header, Transport: transport, Log: log,
		Credentials: creds, TokenHeader: os.Getenv(EnvCredentialHeader),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return c.Run(ctx, os.Stdin, s.Out)
}

// Logout revokes and forgets.
func Logout(ctx context.Context, args []string, s Streams) error {
	f, done, err := parse("logout", args, s)
	if err != nil || done {
		return err
	}
	transport, err := outbound.Transport(f.CA)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	source, err := f.source(transport, s)
	if err != nil {
		return err
	}
	err = source.Logout(ctx)
	if errors.Is(err, signin.ErrSignedOut) {
		_, _ = fmt.Fprintln(s.Out, "nothing is kept for this server")
		return nil
	}
	return err
}

func parse(name string, args []string, s Streams) (f flags, done bool, err error) {
	parser, err := kong.New(&f, kong.Name("bridge "+name), kong.DefaultEnvars("BRIDGE_CONNECT"),
		kong.Description("bridge connect URL speaks MCP on stdin and stdout, for programs that only start programs, and "+
			"HTTP to the server. It signs in where the server wants it. bridge logout URL signs out."),
		kong.Vars{"version": version.Of("bridge")}, kong.Writers(s.Out, s.Out), kong.Exit(func(int) { done = true }))
	if err != nil {
		return f, false, err
	}
	if _, err := parser.Parse(args); err != nil && !done {
		return f, false, fmt.Errorf("%w: %w (bridge %s --help lists the flags)", ErrUsage, err, name)
	}
	if f.URL == "" {
		f.URL = os.Getenv(EnvURL)
	}
	switch {
	case done:
		return f, true, nil
	case f.URL == "":
		return f, false, fmt.Errorf("%w: bridge %s URL: the address of the server is missing", ErrUsage, name)
	case f.TokenFile != "" && (f.Device || f.ClientID != ""):
		return f, false, fmt.Errorf(
			"%w: --token-file takes the place of a sign-in; leave out --device and --client-id",
			ErrUsage,
		)
	case f.CallbackPort < 0 || f.CallbackPort > 65535:
		return f, false, fmt.Errorf("%w: --callback-port %d: want a port from 1 to 65535, or 0 for a free one",
			ErrUsage, f.CallbackPort)
	case f.ClientSecretFile != "" && f.ClientID == "":
		return f, false, fmt.Errorf("%w: --client-secret-file needs --client-id", ErrUsage)
	}
	return f, false, nil
}

// headers are those of the flags and of more, a JSON object.
func (f *flags) headers(more string) (http.Header, error) {
	h, err := readHeaders(more)
	if err != nil {
		return nil, err
	}
	for _, line := range f.Header {
		at := strings.IndexAny(line, ":=")
		if at < 0 {
			return nil, errors.New(`--header: write "NAME: VALUE"`) // it may be a secret
		}
		h.Set(strings.TrimSpace(line[:at]), strings.TrimSpace(line[at+1:]))
	}
	for name, values := range h {
		if !headerName.MatchString(name) || !headerValue.MatchString(values[0]) {
			return nil, fmt.Errorf("--header %q: name or value is no header of HTTP", name)
		}
	}
	return h, nil
}

func (f *flags) credentials(header http.Header, t http.RoundTripper, s Streams) (connect.Credentials, error) {
	switch {
	case os.Getenv(EnvCredential) != "":
		return connect.Lent(filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), os.Getenv(EnvCredential))), nil
	case f.TokenFile != "":
		return connect.TokenFile(f.TokenFile), nil
	case f.NoSignIn || header.Get("Authorization") != "":
		return connect.Fixed{}, nil
	}
	return f.source(t, s)
}

func (f *flags) source(t http.RoundTripper, s Streams) (*signin.Source, error) {
	o := signin.Options{
		URL: f.URL, Dir: f.Tokens, Transport: t, ClientID: f.ClientID, Issuer: f.Issuer, Scopes: f.Scope,
		Port: f.CallbackPort, Device: f.Device, Keys: keyring.System{}, Seal: f.Keyring,
		Tell: func(text string) { _, _ = fmt.Fprintln(s.Err, text) },
	}
	if !f.NoBrowser {
		o.Browse = signin.Browse
	}
	if f.ClientSecretFile != "" {
		raw, err := os.ReadFile(f.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("%w: --client-secret-file: %w", ErrUsage, err)
		}
		o.ClientSecret = strings.TrimSpace(string(raw))
	}
	if o.Dir == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("%w: no folder for tokens: %w; give --tokens", ErrUsage, err)
		}
		o.Dir = filepath.Join(dir, "gatehouse")
	}
	source, err := signin.New(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return source, nil
}

// readHeaders are the headers of a JSON object.
func readHeaders(text string) (http.Header, error) {
	h := http.Header{}
	if text == "" {
		return h, nil
	}
	var all map[string]string
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil, fmt.Errorf("%s is not a JSON object of strings", EnvHeaders) // it holds secrets
	}
	for name, value := range all {
		h.Set(name, value)
	}
	return h, nil
}
