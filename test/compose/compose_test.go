//go:build compose

package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

// patience is for one line of docker compose: it may build an image, and wait for
// Keycloak to be healthy.
const patience = 6 * time.Minute

// compose runs docker compose as run.sh has set it up.
func compose(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, os.Getenv("GATEHOUSE_PARTS"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", args...).Output()
	if err != nil {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

func attach(t *testing.T) *stack.Stack {
	t.Helper()
	running, _ := stack.GateFromEnv()
	gate, err := stack.Attach(running)
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

// container is what docker inspect says of one.
type container struct {
	Config struct {
		User   string
		Env    []string
		Labels map[string]string
	}
	HostConfig struct {
		ReadonlyRootfs bool
		CapDrop        []string
		SecurityOpt    []string
		PortBindings   map[string]any
	}
	State struct{ Health struct{ Status string } }
	Image string
}

func (c container) service() string { return c.Config.Labels["com.docker.compose.service"] }

func containers(t *testing.T) (list []container) {
	t.Helper()
	ids := strings.Fields(docker(t, "ps", "-q"))
	if err := json.Unmarshal([]byte(docker(t, append([]string{"inspect"}, ids...)...)), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestContainersAreHardened(t *testing.T) {
	seen := 0
	for _, c := range containers(t) {
		service := c.service()
		seen++
		if !slices.Equal(c.HostConfig.CapDrop, []string{"ALL"}) ||
			!slices.Contains(c.HostConfig.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: capabilities dropped %v, options %v", service, c.HostConfig.CapDrop, c.HostConfig.SecurityOpt)
		}
		if c.Config.User == "" || strings.HasPrefix(c.Config.User, "0") || strings.HasPrefix(c.Config.User, "root") {
			t.Errorf("%s runs as %q", service, c.Config.User)
		}
		if !c.HostConfig.ReadonlyRootfs && service != "keycloak" {
			t.Errorf("%s may write to its root", service)
		}
		if len(c.HostConfig.PortBindings) > 0 && service != "nginx" {
			t.Errorf("%s is published: %v", service, c.HostConfig.PortBindings)
		}
		if c.State.Health.Status != "healthy" {
			t.Errorf("%s is %q", service, c.State.Health.Status)
		}
		token := slices.ContainsFunc(
			c.Config.Env,
			func(pair string) bool { return strings.HasPrefix(pair, "SLACK_BOT_TOKEN=") },
		)
		if token != (service == "bridge") {
			t.Errorf("%s knows SLACK_BOT_TOKEN: %v", service, token)
		}
	}
	if seen != 5 {
		t.Errorf("%d containers run, want redis, keycloak, authsvc, bridge, nginx", seen)
	}
}

func TestProgramsImagesAreSmall(t *testing.T) {
	t.Setenv("SERVER", "bridge") // the stage without a server
	compose(t, "build", "bridge")
	for _, image := range []string{"gatehouse/authsvc", "gatehouse/bridge-bridge"} {
		var bytes int64
		if _, err := fmt.Sscan(docker(t, "image", "inspect", "-f", "{{.Size}}", image), &bytes); err != nil {
			t.Fatal(err)
		}
		if bytes >= 30e6 {
			t.Errorf("%s has %d bytes, want less than 30 MB", image, bytes)
		}
		t.Logf("%s: %.1f MB", image, float64(bytes)/1e6)
	}
}

// Python beside the bridge: the guide's own server starts in its image.
func TestSlackImage(t *testing.T) {
	t.Setenv("SERVER", "slack")
	compose(t, "build", "bridge")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(
		ctx,
		"docker",
		"run",
		"--rm",
		"--interactive",
		"--network",
		"none",
		"--read-only",
		"--env",
		"SLACK_BOT_TOKEN=xoxb-none",
		"--entrypoint",
		"/opt/slack/venv/bin/python",
		"gatehouse/bridge-slack",
		"-u",
		"/opt/slack/server.py",
	)
	s, err := mcp.NewClient(&mcp.Implementation{Name: "compose", Version: "1"}, nil).
		Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if tools, err := s.ListTools(ctx, nil); err != nil || len(tools.Tools) == 0 {
		t.Errorf("tools = %+v, %v", tools, err)
	}
}

// The base of nginx is one build argument.
func TestOpenRestyBase(t *testing.T) {
	gate := attach(t)
	t.Run("up", func(t *testing.T) {
		t.Setenv("NGINX_BASE", "openresty/openresty:bookworm")
		compose(t, "up", "--build", "--detach", "--wait", "nginx")
		if said := docker(t, "run", "--rm", "gatehouse/nginx", "sh", "-c", "command -v openresty"); said == "" {
			t.Error("the image has no openresty")
		}
		session(t, gate)
	})
	compose(t, "up", "--build", "--detach", "--wait", "nginx")
}

// A second `up` makes no new secret: nobody is signed out.
func TestSecondUpKeepsSecrets(t *testing.T) {
	gate := attach(t)
	read := func() string {
		return docker(
			t,
			"run",
			"--rm",
			"--network",
			"none",
			"--user",
			"0:0",
			"-v",
			os.Getenv("COMPOSE_PROJECT_NAME")+"_gate:/gate:ro",
			"gatehouse/nginx",
			"sha256sum",
			"/gate/client-secret",
			"/gate/redis-password",
			"/gate/tls.key",
		)
	}
	before := read()
	compose(t, "up", "--detach", "--wait", "--force-recreate", "init", "nginx")
	if after := read(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	session(t, gate)
}

// bearer sends a token, and waits where the limit of the one address that all
// callers of a published port may share asks for it.
type bearer struct {
	next  http.RoundTripper
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		r = r.Clone(r.Context())
		if b.token != "" {
			r.Header.Set("Authorization", "Bearer "+b.token)
		}
		res, err := b.next.RoundTrip(r)
		if err != nil || res.StatusCode != http.StatusTooManyRequests {
			return res, err
		}
		_ = res.Body.Close()
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(time.Second):
		}
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// session opens one as alice and calls a tool in it.
func session(t *testing.T, gate *stack.Stack) *mcp.ClientSession {
	t.Helper()
	s, err := open(t, gate)
	if err != nil {
		t.Fatal(err)
	}
	whoami(t, s)
	return s
}

func open(t *testing.T, gate *stack.Stack) (*mcp.ClientSession, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	token, err := gate.Token(ctx, stack.Alice)
	if err != nil {
		return nil, err
	}
	client := gate.HTTPClient()
	client.Transport = bearer{client.Transport, token}
	s, err := mcp.NewClient(&mcp.Implementation{Name: "compose", Version: "1"}, nil).
		Connect(ctx, &mcp.StreamableClientTransport{
			Endpoint: gate.URL + "/mcp", HTTPClient: client, DisableStandaloneSSE: true,
		}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-06-18"})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, nil
}

// crowded is for promises that are held here on a machine which may be three times
// slower and does something else beside.
const crowded = 3

// opens waits until a new session works, and says how long it took.
func opens(t *testing.T, gate *stack.Stack) time.Duration {
	t.Helper()
	for begin := time.Now(); ; {
		s, err := open(t, gate)
		if err == nil {
			whoami(t, s)
			return time.Since(begin)
		}
		if time.Since(begin) > crowded*15*time.Second {
			t.Fatalf("no new session within %s: %v", crowded*15*time.Second, err)
		}
	}
}

func whoami(t *testing.T, s *mcp.ClientSession) {
	t.Helper()
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		t.Fatalf("session %s: %v", s.ID(), err)
	}
	if text, ok := res.Content[0].(*mcp.TextContent); !ok || !strings.Contains(text.Text, "alice@example.com") {
		t.Fatalf("whoami = %+v", res.Content[0])
	}
}

// The realm is applied to a server that has it: what is whole is left, what
// somebody broke is mended, and nothing else is touched.
func TestRealmApply(t *testing.T) {
	gate, apply := attach(t), applier(t)
	if said := apply(); !strings.Contains(said, " 0 changed") {
		t.Errorf("on the realm that was imported:\n%s", said)
	}
	var clients []map[string]any
	if err := gate.Admin(t.Context(), http.MethodGet, "/clients?clientId=mcp-gateway", nil, &clients); err != nil ||
		len(clients) != 1 {
		t.Fatalf("%v, %v", clients, err)
	}
	clients[0]["redirectUris"] = []string{"https://evil.example/*"}
	if err := gate.Admin(t.Context(), http.MethodPut, fmt.Sprint("/clients/", clients[0]["id"]),
		clients[0], nil); err != nil {
		t.Fatal(err)
	}
	if said := apply(); !strings.Contains(said, "client mcp-gateway: changed") || !strings.Contains(said, " 1 changed") {
		t.Errorf("after its redirects were broken:\n%s", said)
	}
	t.Setenv("GATEHOUSE_REALM", "another")
	t.Setenv("GATEHOUSE_SERVERS", "one two")
	if said := apply(); !strings.Contains(said, "realm another: made") ||
		!strings.Contains(said, "clients may ask for scope mcp.access.two") {
		t.Errorf("on a server without the realm:\n%s", said)
	}
	if said := apply(); !strings.Contains(said, " 0 changed") {
		t.Errorf("again:\n%s", said)
	}
	session(t, gate)
}

// The lines of docs/compose.md for a realm that is to be brought up to date change
// nothing of one that is.
func TestTheRealmByThePage(t *testing.T) {
	_, page, _ := strings.Cut(read(t, "docs/compose.md"), "## The realm after a change\n")
	blocks := strings.SplitN(page, "```\n", 3)
	if len(blocks) != 3 {
		t.Fatal("docs/compose.md has no lines for the realm")
	}
	t.Cleanup(func() { _ = os.Remove(filepath.Join(root, "ca.crt")) })
	said := shell(t, strings.ReplaceAll(blocks[1], "https://localhost:8443", os.Getenv("GATEHOUSE_URL")))
	if !strings.Contains(said, " 0 changed") {
		t.Errorf("the page's lines say:\n%s", said)
	}
}

// applier returns a run of deploy/keycloak/apply.sh against the gate's server.
func applier(t *testing.T) func() string {
	t.Helper()
	dir, url := t.TempDir(), os.Getenv("GATEHOUSE_URL")
	secret := docker(t, "run", "--rm", "--network", "none", "--user", "0:0",
		"-v", os.Getenv("COMPOSE_PROJECT_NAME")+"_gate:/gate:ro", "gatehouse/nginx", "cat", "/gate/client-secret")
	for name, text := range map[string]string{"admin": os.Getenv("GATEHOUSE_ADMIN_PASSWORD"), "client": secret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func() string {
		cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(root, "deploy/keycloak/apply.sh"))
		cmd.Env = append(
			os.Environ(),
			"CURL_CA_BUNDLE="+os.Getenv("GATEHOUSE_CA"),
			"KEYCLOAK_URL="+url+"/auth",
			"KEYCLOAK_ADMIN_PASSWORD_FILE="+filepath.Join(dir, "admin"),
			"GATEHOUSE_CLIENT_SECRET_FILE="+filepath.Join(dir, "client"),
			"GATEHOUSE_PUBLIC_URL="+url,
			"GATEHOUSE_BACKCHANNEL_URL=http://authsvcs:4180/backchannel-logout",
			"GATEHOUSE_LOCAL_PASSWORD_GRANT=true", // as docker-compose.yml has it
		)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("apply: %v\n%s", err, out)
		}
		return string(out)
	}
}

// Prometheus finds both programs by name and has the rules; Grafana's image
// has no stand-in.
func TestObserve(t *testing.T) {
	compose(t, "--profile", "observe", "up", "--detach", "prometheus")
	address := docker(
		t,
		"inspect",
		"-f",
		"{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
		os.Getenv("COMPOSE_PROJECT_NAME")+"-prometheus-1",
	)
	ask := func(path string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		out, _ := exec.CommandContext(ctx, "curl", "-s", "http://"+address+":9090/api/v1/"+path).Output() // away at first
		return string(out)
	}
	for begin := time.Now(); strings.Count(ask("query?query=up==1"), `"instance"`) != 2; {
		if time.Since(begin) > time.Minute {
			t.Fatalf("not two targets up: %s", ask("targets"))
		}
		<-time.After(200 * time.Millisecond)
	}
	if rules := ask("rules"); !strings.Contains(rules, `"type":"alerting"`) {
		t.Errorf("rules: %.300s", rules)
	}
	compose(t, "--profile", "observe", "rm", "--stop", "--force", "prometheus")
	docker(t, "volume", "rm", os.Getenv("COMPOSE_PROJECT_NAME")+"_prometheus")
}

// Two authsvc and two bridges behind the same nginx: sessions are on both
// nodes and stay where they are, and one of each may go.
func TestScale(t *testing.T) {
	gate := attach(t)
	compose(t, "--profile", "scale", "up", "--detach", "--wait")
	nodes := map[string][]*mcp.ClientSession{}
	for tries := 0; len(nodes) < 2; tries++ {
		if tries == 20 {
			t.Fatalf("20 sessions, and all on one node: %v", nodes)
		}
		s := session(t, gate)
		node, _, _ := strings.Cut(s.ID(), ".")
		nodes[node] = append(nodes[node], s)
	}
	for range 3 {
		for _, sessions := range nodes {
			whoami(t, sessions[0])
		}
	}
	t.Logf("sessions on nodes a: %d, b: %d", len(nodes["a"]), len(nodes["b"]))
	compose(t, "--profile", "scale", "stop", "authsvc")
	t.Logf("one authsvc stopped: a new session after %.1f s", opens(t, gate).Seconds())
	compose(t, "--profile", "scale", "stop", "bridge-b")
	whoami(t, nodes["a"][0])
	t.Logf("one bridge stopped: a new session after %.1f s", opens(t, gate).Seconds())
	compose(t, "--profile", "scale", "rm", "--stop", "--force", "authsvc-b", "bridge-b")
	compose(t, "up", "--detach", "--wait")
}
