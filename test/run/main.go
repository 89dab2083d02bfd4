// Run starts the whole gate natively, makes one tool call through it, and
// stops everything on Ctrl-C. `make run` calls it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ports := stack.DefaultPorts()
	dir := flag.String("dir", ".run", "folder for logs, certificates and data")
	keycloak := flag.String("keycloak", "", "unpacked Keycloak")
	flag.IntVar(&ports.HTTPS, "https", ports.HTTPS, "port for https")
	flag.IntVar(&ports.HTTP, "http", ports.HTTP, "port for http")
	free := flag.Bool("free", false, "take free ports, not the default ones")
	once := flag.Bool("once", false, "stop after the call")
	flag.Parse()
	if *free {
		ports = stack.Ports{}
	}
	abs, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return err
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	start := time.Now()
	startCtx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	gate, err := stack.Start(startCtx, stack.Options{
		Dir: abs, Bin: bin, Keycloak: *keycloak, Ports: ports,
		Up: func(p *stack.Part) { fmt.Printf("%-9s up: %-24s %5.1f s\n", p.Name, p.Wait, p.Took().Seconds()) },
	})
	if err != nil {
		return err
	}
	defer gate.Close()
	if err := call(startCtx, gate); err != nil {
		return fmt.Errorf("the first call: %w; logs are in %s", err, abs)
	}
	fmt.Printf("ready in %.1f s\n", time.Since(start).Seconds())
	if *once {
		return nil
	}
	tell(gate, abs)
	<-ctx.Done()
	fmt.Println("\nstopping")
	return nil
}

// call makes one real tool call through TLS with a real token.
func call(ctx context.Context, gate *stack.Stack) error {
	token, err := gate.Token(ctx, stack.Alice)
	if err != nil {
		return err
	}
	client := gate.HTTPClient()
	client.Transport = bearer{client.Transport, token}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "make-run", Version: "1"}, nil).
		Connect(ctx, &mcp.StreamableClientTransport{Endpoint: gate.URL + "/mcp", HTTPClient: client}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		return err
	}
	said, ok := res.Content[0].(*mcp.TextContent)
	if !ok {
		return errors.New("whoami answered no text")
	}
	fmt.Printf("tools/call whoami: %s\n", said.Text)
	return nil
}

type bearer struct {
	next  http.RoundTripper
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

func tell(gate *stack.Stack, dir string) {
	fmt.Printf(`
site      %[1]s/account     (users: alice / %[3]s, bob / %[4]s who is an admin)
keycloak  %[2]s
logs      %[6]s

token:
  TOKEN=$(curl -s %[2]s/protocol/openid-connect/token -d grant_type=password -d client_id=mcp-cli -d scope=openid -d username=alice -d password=%[3]s | jq -r .access_token)
curl:
  curl --cacert %[5]s -N -H "Authorization: Bearer $TOKEN" %[1]s/sse
Claude Code:
  NODE_EXTRA_CA_CERTS=%[5]s claude mcp add --transport http gatehouse %[1]s/mcp --header "Authorization: Bearer $TOKEN"
Claude Desktop, claude_desktop_config.json:
  {"mcpServers": {"gatehouse": {"command": "npx", "args": ["-y", "supergateway", "--sse", "%[1]s/sse", "--oauth2Bearer", "TOKEN"], "env": {"NODE_EXTRA_CA_CERTS": "%[5]s"}}}}
or, with sign-in by the browser:
  {"mcpServers": {"gatehouse": {"command": "npx", "args": ["-y", "mcp-remote", "%[1]s/mcp"], "env": {"NODE_EXTRA_CA_CERTS": "%[5]s"}}}}

Ctrl-C stops everything.
`, gate.URL, gate.Issuer, stack.Password(stack.Alice), stack.Password(stack.Bob), filepath.Join(dir, "ca.pem"), dir)
}
