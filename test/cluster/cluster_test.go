//go:build cluster

// Package cluster drives a gate that runs in the pods of a real cluster, as
// run.sh has set it up, while its pods come and go.
package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/stack"
)

const patience = 4 * time.Minute

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func try(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "kubectl", append([]string{"--namespace", "gatehouse"}, args...)...).
		CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
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

// crowd is clients of the official SDK that call without a pause, each in a
// session of its own, and start anew where the session is gone.
type crowd struct {
	gate   *stack.Stack
	token  string
	calls  atomic.Int64
	anew   atomic.Int64 // sessions that were gone
	waited atomic.Int64 // calls that met an error and went through later
	wrong  atomic.Pointer[string]
	stop   context.CancelFunc
	group  sync.WaitGroup
}

func gather(t *testing.T, gate *stack.Stack, clients int) *crowd {
	t.Helper()
	token, err := gate.Token(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	c := &crowd{gate: gate, token: token, stop: stop}
	for i := range clients {
		c.group.Go(func() { c.client(ctx, i) })
	}
	c.moves(t, int64(clients))
	return c
}

// leave ends the crowd and says what it met.
func (c *crowd) leave(t *testing.T, what string) {
	t.Helper()
	c.moves(t, 20) // it still works after what was done
	c.stop()
	c.group.Wait()
	if wrong := c.wrong.Load(); wrong != nil {
		t.Errorf("%s: a wrong answer: %s", what, *wrong)
	}
	t.Logf("%s: %d calls, %d sessions started anew, %d calls tried again, no wrong answer",
		what, c.calls.Load(), c.anew.Load(), c.waited.Load())
}

// moves waits until so many more calls have been answered.
func (c *crowd) moves(t *testing.T, more int64) {
	t.Helper()
	want := c.calls.Load() + more
	until(t, "the clients' calls are answered", func() error {
		if n := c.calls.Load(); n < want {
			return fmt.Errorf("%d calls, want %d", n, want)
		}
		return nil
	})
}

func (c *crowd) client(ctx context.Context, id int) {
	for n := 0; ctx.Err() == nil; {
		s, err := c.connect(ctx, id)
		if err != nil {
			c.again(ctx)
			continue
		}
		for ctx.Err() == nil {
			n++
			if err = c.call(ctx, s, id*10_000, n); err != nil {
				break
			}
		}
		_ = s.Close()
		if errors.Is(err, mcp.ErrSessionMissing) {
			c.anew.Add(1)
		} else {
			c.again(ctx)
		}
	}
}

// again counts a try that failed and spaces the next.
func (c *crowd) again(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.waited.Add(1)
	select {
	case <-ctx.Done():
	case <-time.After(300 * time.Millisecond):
	}
}

// connect opens a session of 2025-11-25 or, for odd clients, speaks 2026-07-28,
// which has none.
func (c *crowd) connect(ctx context.Context, id int) (*mcp.ClientSession, error) {
	version := "2025-11-25"
	if id%2 == 1 {
		version = "2026-07-28"
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "cluster", Version: "1"}, nil)
	return client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: c.gate.URL + "/mcp", MaxRetries: -1, DisableStandaloneSSE: true,
		HTTPClient: &http.Client{Transport: bearer{c.gate.HTTPClient().Transport, c.token}},
	}, &mcp.ClientSessionOptions{ProtocolVersion: version})
}

// call adds two numbers of this client's own, so that an answer of another
// caller's is seen.
func (c *crowd) call(ctx context.Context, s *mcp.ClientSession, base, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": base, "b": n}})
	if err != nil {
		return err
	}
	text := ""
	if len(res.Content) > 0 {
		if t, ok := res.Content[0].(*mcp.TextContent); ok {
			text = t.Text
		}
	}
	if res.IsError || text != fmt.Sprint(base+n) {
		said := fmt.Sprintf("%d + %d = %q (error %v)", base, n, text, res.IsError)
		c.wrong.Store(&said)
	}
	c.calls.Add(1)
	// The address's limit is ten calls a second; the crowd shares one.
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
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

// until polls a condition that nobody announces.
func until(t *testing.T, what string, ok func() error) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func settled(t *testing.T, object string) {
	t.Helper()
	kubectl(t, "rollout", "status", "--timeout=200s", object)
}

func TestBridgesComeAndGo(t *testing.T) {
	gate := attach(t)
	c := gather(t, gate, 6)
	t.Run("up to three", func(t *testing.T) {
		kubectl(t, "scale", "statefulset/bridge", "--replicas=3")
		settled(t, "statefulset/bridge")
		c.moves(t, 12)
	})
	t.Run("down to two", func(t *testing.T) {
		kubectl(t, "scale", "statefulset/bridge", "--replicas=2")
		kubectl(t, "wait", "--for=delete", "pod/bridge-2", "--timeout=120s")
		c.moves(t, 12)
	})
	t.Run("killed", func(t *testing.T) {
		kubectl(t, "delete", "pod", "bridge-1", "--grace-period=0", "--force")
		c.moves(t, 12)
		settled(t, "statefulset/bridge")
	})
	t.Run("rolled", func(t *testing.T) {
		kubectl(t, "rollout", "restart", "statefulset/bridge")
		settled(t, "statefulset/bridge")
		c.moves(t, 12)
	})
	c.leave(t, "bridges scaled, killed and rolled")
	if c.anew.Load() == 0 {
		t.Error("no session was told that its bridge is gone")
	}
}

func TestAuthsvcAndNginxRoll(t *testing.T) {
	c := gather(t, attach(t), 4)
	for _, object := range []string{"deployment/authsvc", "deployment/nginx"} {
		kubectl(t, "rollout", "restart", object)
		settled(t, object)
		c.moves(t, 8)
	}
	c.leave(t, "authsvc and nginx rolled")
}

// A drain takes one bridge and is told to wait for the other.
func TestDrainTakesOneBridgeAtATime(t *testing.T) {
	c := gather(t, attach(t), 4)
	defer func() { _, _ = try(context.WithoutCancel(t.Context()), "uncordon", "node-0") }()
	out, err := try(
		t.Context(),
		"drain",
		"node-0",
		"--pod-selector=app.kubernetes.io/name=bridge",
		"--delete-emptydir-data",
		"--force",
		"--ignore-daemonsets",
		"--timeout=20s",
	)
	if err == nil || !strings.Contains(err.Error(), "disruption budget") {
		t.Errorf("drain: %v %s; want it to wait for the disruption budget", err, out)
	}
	c.moves(t, 8)
	kubectl(t, "uncordon", "node-0")
	settled(t, "statefulset/bridge")
	c.leave(t, "a node drained")
}

// A session id names its node, and only a pod of the StatefulSet is one.
func TestForgedNodesLeadNowhere(t *testing.T) {
	gate := attach(t)
	token, err := gate.Token(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"bridge-99.0123456789abcdef0123456789abcdef", "redis-0.0123456789abcdef0123456789abcdef"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, gate.URL+"/mcp",
			strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		req.Header.Set("Mcp-Session-Id", id)
		res, err := gate.HTTPClient().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", id, res.Status)
		}
	}
}

// A renewed certificate is served without a restart.
func TestRenewedCertificate(t *testing.T) {
	gate, secrets := attach(t), os.Getenv("GATEHOUSE_SECRETS")
	serial := func() string { return served(t, gate).SerialNumber.String() }
	before, began := serial(), time.Now()
	renew := exec.CommandContext(
		t.Context(),
		"openssl",
		"x509",
		"-req",
		"-in",
		"tls.csr",
		"-CA",
		"ca.crt",
		"-CAkey",
		"ca.key",
		"-CAcreateserial",
		"-days",
		"2",
		"-extfile",
		"tls.ext",
		"-out",
		"tls.crt",
	)
	renew.Dir = secrets
	if out, err := renew.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made := kubectl(t, "create", "secret", "tls", "gatehouse-tls", "--dry-run=client", "-o", "yaml",
		"--cert", filepath.Join(secrets, "tls.crt"), "--key", filepath.Join(secrets, "tls.key"))
	apply := exec.CommandContext(t.Context(), "kubectl", "apply", "-f", "-")
	apply.Stdin = strings.NewReader(made)
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	until(t, "the new certificate is served", func() error {
		if serial() == before {
			return errors.New("still the old one")
		}
		return nil
	})
	t.Logf("a renewed certificate was served after %.0f s", time.Since(began).Seconds())
}

// served is the certificate that the gate shows to a new connection.
func served(t *testing.T, gate *stack.Stack) *x509.Certificate {
	t.Helper()
	res, err := gate.HTTPClient().Get(gate.URL + "/health")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.TLS.PeerCertificates[0]
}

// The namespace admits nothing that PodSecurity's restricted profile refuses.
func TestRestrictedIsEnforced(t *testing.T) {
	_, err := try(t.Context(), "run", "root", "--image=docker.io/gatehouse/pause:test", "--privileged", "--dry-run=server")
	if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Errorf("a privileged pod: %v, want it refused", err)
	}
}
