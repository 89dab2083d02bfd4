// Command doctor looks at a deployed gate from outside, as a stranger would,
// and prints a line for each thing that must hold, with the way to mend what
// does not. It promises to change nothing and to send fewer than a hundred
// small requests. It must never print a token.
//
//	doctor [-token-file F] [-http URL] [-host] https://mcp.example.com
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"gatehouse/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run answers 0 when all holds, 1 when something does not, 2 on bad use.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && strings.TrimLeft(args[0], "-") == "version" {
		_, _ = fmt.Fprintln(stdout, version.Of("gatehouse-doctor"))
		return 0
	}
	g, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "doctor:", err)
		return 2
	}
	return examine(ctx, g, stdout)
}

// gate is what is looked at.
type gate struct {
	url      *url.URL // https origin, with a path where it is mounted below one
	plain    string   // where port 80 is
	token    string
	onHost   bool
	roleless string
	env      string // globs of the files with secrets
	units    string
	log      string
	authsvc  string
	pause    time.Duration
	client   *http.Client
	roots    *x509.CertPool

	oneOfMany bool // found: the limit for an address counts credentials
}

const timeout = 10 * time.Second

func parse(args []string) (*gate, error) {
	g := &gate{}
	fs := flag.NewFlagSet("doctor", flag.ContinueOnError)
	tokenFile := fs.String("token-file", "", "file with an access token: also opens a stream and a session")
	rolelessFile := fs.String(
		"roleless-token-file",
		"",
		"file with an access token of a user who lacks the role: must be refused",
	)
	caFile := fs.String("ca-file", "", "further root certificate (PEM) to trust")
	fs.StringVar(&g.plain, "http", "", "the plain origin that redirects (default: the host on port 80)")
	fs.BoolVar(&g.onHost, "host", false, "also look at this machine's files and units")
	fs.StringVar(
		&g.env,
		"env",
		"/etc/gatehouse/*.env,/etc/gatehouse/credentials/*,/etc/gatehouse/bridge/*",
		"with -host: files that only their owner may read",
	)
	fs.StringVar(
		&g.units,
		"units",
		"nginx,gatehouse-authsvc,gatehouse-bridge@main",
		"with -host: units that must be active",
	)
	fs.StringVar(&g.authsvc, "authsvc", "http://127.0.0.1:4181", "with -host: authsvc's internal listener")
	fs.StringVar(&g.log, "log", "/var/log/nginx/mcp-access.log", "with -host: the audit log")
	fs.DurationVar(&g.pause, "pause", 120*time.Millisecond, "pause between requests, below the limit for an address")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimRight(fs.Arg(0), "/"))
	if err != nil || u.Scheme != "https" || u.Host == "" || fs.NArg() != 1 {
		return nil, fmt.Errorf("URL %q: want one https address, as in make doctor URL=https://mcp.example.com", fs.Arg(0))
	}
	g.url = u
	if g.plain == "" {
		g.plain = "http://" + u.Hostname()
	}
	if err := g.trust(*caFile); err != nil {
		return nil, err
	}
	if g.token, err = secret("-token-file", *tokenFile); err != nil {
		return nil, err
	}
	g.roleless, err = secret("-roleless-token-file", *rolelessFile)
	return g, err
}

// secret reads what must not stand in a command line, "" where no file is named.
func secret(flag, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return strings.TrimSpace(string(raw)), nil
}

func (g *gate) trust(caFile string) error {
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return fmt.Errorf("-ca-file: %w", err)
		}
		if g.roots, err = x509.SystemCertPool(); err != nil {
			return fmt.Errorf("system's roots: %w", err)
		}
		if !g.roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("-ca-file: %s holds no certificate", caFile)
		}
	}
	g.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.roots}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// check is one thing that must hold; mend says what to do where it does not.
type check struct {
	name, mend string
	look       func(context.Context, *gate) error
}

func examine(ctx context.Context, g *gate, out io.Writer) int {
	list := checks()
	if g.token != "" {
		list = append(list, streamChecks()...)
	}
	if g.roleless != "" {
		list = append(list, roleCheck())
	}
	if g.onHost {
		list = append(list, hostChecks()...)
	}
	list = append(list, limitCheck()) // last: it spends the address's allowance
	failed := 0
	for _, c := range list {
		if err := lookAt(ctx, c, g); err != nil {
			failed++
			_, _ = fmt.Fprintf(out, "fail  %-20s %v\n      mend: %s\n", c.name, err, c.mend)
			continue
		}
		_, _ = fmt.Fprintf(out, "pass  %s\n", c.name)
	}
	if g.token == "" {
		_, _ = fmt.Fprintln(out, "note  no -token-file: streaming behind the sign-in was not looked at")
	}
	if g.oneOfMany {
		_, _ = fmt.Fprintln(
			out,
			"note  nginx sees one address for many callers, as behind Docker's proxy: "+
				"its limit counts each credential (compose.md)",
		)
	}
	_, _ = fmt.Fprintf(out, "%d passed, %d failed\n", len(list)-failed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}

func lookAt(ctx context.Context, c check, g *gate) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.look(ctx, g)
}

// answer is a response whose body has been read.
type answer struct {
	*http.Response
	body string
}

// ask sends one request below the gate's address.
func (g *gate) ask(ctx context.Context, method, target, body string, header map[string]string) (answer, error) {
	if strings.HasPrefix(target, "/") {
		target = g.url.String() + target
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	select { // the doctor's own questions must not meet the gate's limits
	case <-time.After(g.pause):
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its bound
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return answer{resp, string(raw)}, err
}
