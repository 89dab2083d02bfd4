//go:build linux

package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sys/unix"
)

// childMode makes this test binary the stdio server behind the bridge.
const childMode = "GATEHOUSE_HOSTILE_CHILD"

// about is what a child tells of itself, so that another need not guess.
type about struct {
	PID, Bridge int
	Home, Tmp   string
	Cache       string
	Abstract    string // a socket without a file
	Shared      int    // memory of System V, or -1
}

// target is what an attacker is told: no try fails for want of knowing.
type target struct {
	Victim      about
	Service     int    // a TCP port of this machine, as authsvc's internal listener or Redis
	Free        int    // a port that a service will want
	Socket      string // of a service, by its path
	Credentials string // a file as systemd gives it to the bridge
	Config      string // of the bridge
}

// got is what a try got, or why nothing.
type got struct {
	Name, What, Refused string
}

type tried struct{ All []got }

func serveChild() {
	me := whoAmI()
	server := mcp.NewServer(&mcp.Implementation{Name: "hostile", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "about"},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, about, error) {
			return nil, me, nil
		})
	mcp.AddTool(server, &mcp.Tool{Name: "try"},
		func(_ context.Context, _ *mcp.CallToolRequest, at target) (*mcp.CallToolResult, tried, error) {
			var all tried
			for _, a := range attempts {
				what, err := a.try(&at)
				g := got{Name: a.name, What: what}
				if err != nil {
					g.Refused = err.Error()
				}
				all.All = append(all.All, g)
			}
			return nil, all, nil
		})
	_ = server.Run(context.Background(), &mcp.StdioTransport{})
}

func whoAmI() about {
	me := about{
		PID: os.Getpid(), Bridge: os.Getppid(), Home: os.Getenv("HOME"), Tmp: os.Getenv("TMPDIR"),
		Cache: os.Getenv("XDG_CACHE_HOME"), Abstract: fmt.Sprintf("@gatehouse-hostile-%d", os.Getpid()), Shared: -1,
	}
	if me.Tmp == "" {
		me.Tmp = os.TempDir()
	}
	for _, dir := range []string{me.Home, me.Tmp} {
		keepSecret(dir)
	}
	if id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, 0o600); err == nil {
		me.Shared = id
		_, _ = unix.SysvShmAttach(id, 0, 0)
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) // it goes with this process
	}
	if l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", me.Abstract); err == nil {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
	} else { // no other can have it either
		me.Abstract = ""
	}
	return me
}

const secretFile = ".gatehouse-hostile-secret"

// keepSecret puts the file there whole: without a box all children share the
// folder, and one that starts must not leave the file empty under another's try.
func keepSecret(dir string) {
	file := filepath.Join(dir, secretFile)
	draft := fmt.Sprintf("%s-%d", file, os.Getpid())
	if os.WriteFile(draft, []byte("mine"), 0o600) == nil {
		_ = os.Rename(draft, file)
	}
}

// read is what a file gave, in short: no secret is printed.
func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", cause(err)
	}
	defer f.Close() //nolint:errcheck // read only
	n, err := f.Read(make([]byte, 64))
	if err != nil {
		return "", cause(err)
	}
	return fmt.Sprintf("%d bytes", n), nil
}

func cause(err error) error {
	if err == nil {
		return nil
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

func proc(pid int, file string) string { return fmt.Sprintf("/proc/%d/%s", pid, file) }

func link(path string) (string, error) {
	to, err := os.Readlink(path)
	return to, cause(err)
}

func list(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", cause(err)
	}
	return fmt.Sprintf("%d entries", len(entries)), nil
}

func write(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return "", cause(err)
	}
	return "written", f.Close()
}

// parent is the folder of all boxes, as the victim's home tells it.
func parent(home string) string { return strings.TrimSuffix(filepath.Dir(filepath.Dir(home)), "/") }
