package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/config"
	"gatehouse/bridge/internal/sandbox"
)

// checkSandbox is about the flags of boxes.
func (f *flags) checkSandbox(l *faults) {
	if f.Config != "" && len(f.SandboxRead)+len(f.SandboxWrite)+len(f.SandboxConnect) > 0 {
		l.add("--sandbox-read, --sandbox-write and --sandbox-connect are for the command after --; " +
			"with --config write \"gatehouse\": {\"sandbox\": {...}} into the entry")
	}
	if f.Sandbox == "off" && f.RequireSandbox {
		l.add("--sandbox off and --require-sandbox are both given; keep one")
	}
	if _, err := f.commandSandbox(); err != nil {
		l.add("%w", err)
	}
	if _, err := f.childMemory(); err != nil {
		l.add("--child-memory: %w", err)
	}
	if f.ChildPids < 0 || f.ChildCPU < 0 {
		l.add("--child-pids %d and --child-cpu %g must be 0 or more", f.ChildPids, f.ChildCPU)
	}
}

func (f *flags) childMemory() (int64, error) {
	if f.ChildMemory == "0" || f.ChildMemory == "" {
		return 0, nil
	}
	return config.Bytes(f.ChildMemory)
}

// commandSandbox is that of the command after --.
func (f *flags) commandSandbox() (s config.Sandbox, err error) {
	for _, list := range []struct{ from, to *[]string }{{&f.SandboxRead, &s.Read}, {&f.SandboxWrite, &s.Write}} {
		for _, path := range *list.from {
			whole, err := filepath.Abs(path)
			if err != nil {
				return s, fmt.Errorf("--sandbox-read or --sandbox-write %q: %w", path, err)
			}
			*list.to = append(*list.to, whole)
		}
	}
	for _, to := range f.SandboxConnect {
		if err := s.Reach(to); err != nil {
			return s, fmt.Errorf("--sandbox-connect: %w", err)
		}
	}
	return s, nil
}

// boxSpec is what holds for one server: its entry's word where it has one.
func (f *flags) boxSpec(s config.Sandbox) sandbox.Spec {
	limits := sandbox.Limits{Memory: s.Memory, Tasks: s.Pids, CPU: s.CPU}
	if limits.Memory == 0 {
		limits.Memory, _ = f.childMemory() // check has read it
	}
	if limits.Tasks == 0 {
		limits.Tasks = f.ChildPids
	}
	if limits.CPU == 0 {
		limits.CPU = f.ChildCPU
	}
	return sandbox.Spec{
		Off: s.Off || f.Sandbox == "off", Read: s.Read, Write: s.Write, Connect: s.Connect, AnyPort: s.AnyPort,
		Unix: s.Unix, Limits: limits,
	}
}

// openBoxes looks at what this machine can do, and says what it cannot.
func (g *gate) openBoxes() (err error) {
	f := g.flags
	o := sandbox.Options{
		Program: "/proc/self/exe", Dir: f.SandboxDir, Cache: f.cacheDir(), Reserved: f.ownPorts(),
		Secrets: f.ownFiles(),
	}
	if f.Sandbox == "off" {
		o.Program = ""
		g.log.Warn().Msg("--sandbox off: children are not confined, and reach what the bridge and each other do")
	}
	if g.boxes, err = sandbox.Open(o); err != nil {
		return fmt.Errorf("--sandbox-dir: %w", err)
	}
	if f.RequireSandbox {
		if err := g.boxes.Require(); err != nil {
			g.boxes.Close()
			return fmt.Errorf("--require-sandbox: %w", err)
		}
	}
	for _, lack := range g.boxes.Lacks() {
		g.log.Warn().Str("lacks", lack).Msg("the boxes of children are not whole")
	}
	return nil
}

// boxesOf makes the boxes of one entry.
func (g *gate) boxesOf(e config.Server, spec child.Spec) (*sandbox.Maker, error) {
	if e.Gate.Sandbox.Off {
		g.log.Warn().Str("server", e.Name).Msg("sandbox off: its children are not confined, and reach what the bridge does")
	}
	return g.boxes.Maker(e.Name, g.flags.boxSpec(e.Gate.Sandbox), sandbox.Command{
		Argv: spec.Argv, Env: spec.Env, Dir: spec.Dir, Own: slices.Collect(maps.Keys(e.Env)),
	})
}

// cacheDir is apart for each bridge of a user, and for each way of telling its
// callers apart.
func (f *flags) cacheDir() string {
	if f.SandboxCache != "" {
		return f.SandboxCache
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(f.Listen + " " + f.Identity))
	return filepath.Join(dir, "gatehouse", "bridge-"+hex.EncodeToString(sum[:4]))
}

// ownPorts are those that the bridge listens on or asks authsvc at.
func (f *flags) ownPorts() (ports []uint16) {
	addrs := []string{f.Listen, f.AdminListen}
	for _, raw := range []string{f.IdentityKeys, f.endedURL()} {
		if u, err := url.Parse(raw); err == nil {
			addrs = append(addrs, u.Host)
		}
	}
	for _, addr := range addrs {
		_, port, _ := net.SplitHostPort(addr)
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			ports = append(ports, uint16(n))
		}
	}
	return ports
}

// ownFiles are what a child must not read because they happen to lie where it
// runs.
func (f *flags) ownFiles() (files []string) {
	for _, path := range []string{
		f.Config, f.TokenFile, f.AuthsvcTokenFile, f.AuthsvcKey, f.Policy, f.Audit, f.AuditKeyFile,
	} {
		if whole, err := filepath.Abs(path); path != "" && err == nil {
			files = append(files, whole)
		}
	}
	return files
}
