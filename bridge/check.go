package main

import (
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// faults are all that is wrong with the flags, told at once.
type faults []error

func (l *faults) add(format string, args ...any) {
	*l = append(*l, fmt.Errorf("%w: "+format, append([]any{errUsage}, args...)...))
}

const maxNode = 32

func (f *flags) check() error {
	var l faults
	f.checkServer(&l)
	f.checkIdentity(&l)
	f.checkPaths(&l)
	if f.Port != 0 && f.Listen != "127.0.0.1:3000" {
		l.add("--port %d and --listen %s are both given; keep one", f.Port, f.Listen)
	}
	if f.Port < 0 || f.Port > 65535 {
		l.add("--port %d must be from 1 to 65535", f.Port)
	}
	if f.Pprof && f.AdminListen == "" {
		l.add("--pprof needs --admin-listen, where the profiles are served")
	}
	if f.Warm < 0 {
		l.add("--warm %d must be 0 or more", f.Warm)
	}
	if f.Warm > 0 && (f.Identity != "none" || f.Isolation != "session") {
		l.add("--warm %d works only with --isolation session and --identity none (here %s and %s): "+
			"elsewhere a child learns its user when it starts, or is shared", f.Warm, f.Isolation, f.Identity)
	}
	if f.Sleep < 0 || f.Sleep > 0 && f.Isolation == "shared" && f.Config == "" {
		l.add("--sleep %v must be 0 or more, and 0 with --isolation shared, where one child is everybody's", f.Sleep)
	}
	if f.Node != "" && !regexp.MustCompile(`^[a-z0-9-]{1,32}$`).MatchString(f.Node) {
		l.add("--node %q: lower-case letters, digits and dashes, at most %d", f.Node, maxNode)
	}
	if _, err := f.headers(); err != nil {
		l.add("%w", err)
	}
	f.checkURLs(&l)
	f.checkBounds(&l)
	f.checkSandbox(&l)
	return errors.Join(l...)
}

// checkServer also looks for the command: a program that could never start a
// server must not look healthy.
func (f *flags) checkServer(l *faults) {
	switch {
	case f.Config == "" && len(f.Command) == 0:
		l.add("no server: give a command after --, or --config FILE")
		return
	case f.Config != "" && len(f.Command) > 0:
		l.add("--config %s and a command are both given; keep one", f.Config)
		return
	case f.Config != "":
		if f.Cwd != "" || len(f.Env) > 0 {
			l.add("--cwd and --env are for the command after --; with --config write cwd and env into the entry")
		}
		return
	}
	if _, err := f.env(); err != nil {
		l.add("%w", err)
	}
	if err := findCommand(f.Command[0], f.Cwd); err != nil {
		l.add("the command %w", err)
	}
}

// findCommand says why a command cannot be started, as far as can be seen before.
func findCommand(command, dir string) error {
	path := command
	if dir != "" && strings.ContainsRune(path, filepath.Separator) && !filepath.IsAbs(path) {
		path = filepath.Join(dir, path) // as os/exec takes it
	}
	if _, err := exec.LookPath(path); err != nil {
		return fmt.Errorf("%q cannot be started: %w; name a program that is on the PATH or give its whole path",
			command, errors.Unwrap(err))
	}
	return nil
}

func (f *flags) checkIdentity(l *faults) {
	switch f.Identity {
	case "none":
		if !httpkit.IsLocal(f.Listen) && !f.AllowAnyone {
			l.add("--identity none believes everybody and is refused on --listen %s; listen on loopback or a unix socket, "+
				"use --identity token or signed, or say --allow-anyone", f.Listen)
		}
	case "token":
		if f.TokenFile == "" {
			l.add("--identity token needs --token-file FILE with NAME TOKEN in each line")
		}
	case "signed":
		if f.IdentityKeys == "" {
			l.add("--identity signed needs --identity-keys URL, such as http://127.0.0.1:4181%s", contract.PathKeys)
		}
	}
	for name, value := range map[string]string{
		"--authsvc-ca": f.AuthsvcCA, "--authsvc-cert": f.AuthsvcCert, "--authsvc-key": f.AuthsvcKey,
	} {
		if value != "" && f.Identity != "signed" {
			l.add("%s %s is for --identity signed, here it is %s", name, value, f.Identity)
		}
	}
	if (f.AuthsvcCert == "") != (f.AuthsvcKey == "") {
		l.add("--authsvc-cert and --authsvc-key: give both or neither")
	}
	if f.TokenFile != "" && f.Identity != "token" {
		l.add("--token-file %s is for --identity token, here it is %s", f.TokenFile, f.Identity)
	}
	if f.AllowAnyone && f.Identity != "none" {
		l.add("--allow-anyone is for --identity none, here it is %s", f.Identity)
	}
}

var pathForm = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

func (f *flags) checkPaths(l *faults) {
	owner := map[string]string{}
	for _, p := range []struct {
		flag  string
		paths []string
	}{
		{"--sse-path", f.SSEPath}, {"--message-path", f.MessagePath},
		{"--mcp-path", f.MCPPath}, {"--health-path", f.HealthPath},
	} {
		for _, path := range p.paths {
			switch {
			case !pathForm.MatchString(path) || slices.Contains(strings.Split(path, "/"), ".."):
				l.add("%s %q: a path begins with a slash, does not end in one, and has letters, digits, dots, dashes, "+
					"underscores and tildes", p.flag, path)
			case owner[path] != "":
				l.add("%s %s is also given as %s; each path answers once", p.flag, path, owner[path])
			case path == "/servers" || strings.HasPrefix(path, "/servers/"):
				l.add("%s %s: paths below /servers belong to --config", p.flag, path)
			}
			owner[path] = p.flag
		}
	}
	if f.PublicPrefix != "" && (!strings.HasPrefix(f.PublicPrefix, "/") || strings.HasSuffix(f.PublicPrefix, "/")) {
		l.add("--public-prefix %q: begins with a slash and does not end in one", f.PublicPrefix)
	}
}

func (f *flags) checkURLs(l *faults) {
	for _, u := range []struct{ flag, value string }{
		{"--identity-keys", f.IdentityKeys}, {"--sessions-ended", f.SessionsEnded},
		{"--resource-metadata", f.ResourceMetadata},
	} {
		if parsed, err := url.Parse(u.value); u.value != "" && (err != nil || parsed.Host == "") {
			l.add("%s %q is not a URL", u.flag, u.value)
		}
	}
}

func (f *flags) checkBounds(l *faults) {
	for _, n := range []struct {
		flag  string
		value int64
	}{
		{"--max-sessions", int64(f.MaxSessions)}, {"--max-user-sessions", int64(f.MaxUserSessions)},
		{"--max-calls", int64(f.MaxCalls)}, {"--max-body", int64(f.MaxBody)}, {"--max-bodies", int64(f.MaxBodies)},
		{"--max-line", int64(f.MaxLine)},
		{"--max-waiting", int64(f.MaxWaiting)}, {"--stop-time", int64(f.StopTime)}, {"--kill-time", int64(f.KillTime)},
		{"--body-time", int64(f.BodyTime)}, {"--body-rate", int64(f.BodyRate)}, {"--gone-time", int64(f.GoneTime)},
		{"--max-queue", int64(f.MaxQueue)}, {"--call-time", int64(f.CallTime)}, {"--start-time", int64(f.StartTime)},
		{"--session-idle", int64(f.SessionIdle)}, {"--session-age", int64(f.SessionAge)},
		{"--drain-time", int64(f.DrainTime)},
	} {
		if n.value <= 0 {
			l.add("%s must be more than 0", n.flag)
		}
	}
	for flag, value := range map[string]int{"--max-children": f.MaxChildren, "--max-replay": f.MaxReplay} {
		if value < 0 {
			l.add("%s %d must be 0 or more", flag, value)
		}
	}
}
