//go:build linux

package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sys/unix"

	"gatehouse/test/freeport"
	"gatehouse/test/running"
)

var program string // the bridge

func TestMain(m *testing.M) {
	if os.Getenv(childMode) != "" {
		serveChild()
		return
	}
	os.Exit(running.Tests(m, &program))
}

func pointer(b *byte) unsafe.Pointer { return unsafe.Pointer(b) }

// gate is a bridge with two users.
type gate struct {
	base   string
	dir    string // with its file of tokens and its credentials
	target target
}

func start(t *testing.T, flags ...string) *gate {
	t.Helper()
	g := &gate{dir: t.TempDir()}
	g.target.Config, g.target.Credentials = filepath.Join(g.dir, "tokens"), filepath.Join(g.dir, "credentials", "secret")
	if err := os.Mkdir(filepath.Dir(g.target.Credentials), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		g.target.Config:      "alice " + strings.Repeat("a", 32) + "\nbob " + strings.Repeat("b", 32) + "\n",
		g.target.Credentials: "secret",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.target.Service = listen(t, "tcp4", "127.0.0.1:0").(*net.TCPAddr).Port
	g.target.Socket = filepath.Join(g.dir, "service.sock")
	listen(t, "unix", g.target.Socket)
	_, free, _ := net.SplitHostPort(freeport.Addr(t))
	_, _ = fmt.Sscan(free, &g.target.Free)

	addr := freeport.Addr(t)
	g.base = "http://" + addr
	args := append([]string{"--listen", addr, "--identity", "token", "--token-file", g.target.Config}, flags...)
	cmd := exec.Command(program, append(args, "--env", childMode+"=1", "--", os.Args[0])...)
	cmd.Env = append(os.Environ(), "CREDENTIALS_DIRECTORY="+filepath.Dir(g.target.Credentials),
		"HOME="+t.TempDir(), "TMPDIR="+t.TempDir()) // without a box that is where children write
	cmd.Dir = g.dir
	// As a shell may: a descriptor that is not for children.
	open, err := os.Open(g.target.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close() //nolint:errcheck // read only
	cmd.ExtraFiles = []*os.File{open}
	running.Start(t, cmd, g.base)
	return g
}

func listen(t *testing.T, network, addr string) net.Addr {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr()
}

// bearer shows a token.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// connect opens the session of a user, by the letter of the token.
func (g *gate) connect(t *testing.T, user string) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: g.base + "/mcp", HTTPClient: &http.Client{Transport: bearer(strings.Repeat(user, 32))},
	}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func call[T any](t *testing.T, s *mcp.ClientSession, tool string, args any) (out T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil || res.IsError {
		t.Fatalf("%s: %+v, %v", tool, res, err)
	}
	raw, err := json.Marshal(res.StructuredContent)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (g *gate) tries(t *testing.T) []got {
	t.Helper()
	g.target.Victim = call[about](t, g.connect(t, "a"), "about", struct{}{})
	return call[tried](t, g.connect(t, "b"), "try", g.target).All
}

// TestHostileChildInTheBox: a child gets nothing that is another's.
func TestHostileChildInTheBox(t *testing.T) {
	const whole = 6 // the version of Landlock that has all of it, in Linux 6.12
	v, _, _ := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if int(v) < whole {
		t.Skip("this kernel cannot give the whole box")
	}
	g := start(t, "--require-sandbox")
	for _, got := range g.tries(t) {
		if got.Refused == "" {
			t.Errorf("%s: it got %s", got.Name, got.What)
			continue
		}
		t.Logf("%-56s %s", got.Name, got.Refused)
	}
}

// TestHostileChildWithoutABox: the tries are good ones. What the bridge was
// started with is closed here, too.
func TestHostileChildWithoutABox(t *testing.T) {
	g := start(t, "--sandbox", "off")
	all := g.tries(t)
	for i, got := range all {
		if got.Refused != "" && attempts[i].works {
			t.Errorf("%s: %s; without a box it has to work", got.Name, got.Refused)
		}
		if got.Name == leftOpen && got.Refused == "" {
			t.Errorf("%s: it got %s", got.Name, got.What)
		}
		t.Logf("%-56s %s", got.Name, got.What+" "+got.Refused)
	}
}
