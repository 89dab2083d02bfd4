package config

import (
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
)

// Environ is the whole environment of the server's child. own is the bridge's.
//
// A server of a file gets little of it, so that two servers do not read each
// other's secrets; the one after -- gets what its caller's shell has. What is
// the bridge's own no child gets: it tells of secrets, and speaks to the
// bridge's service manager.
func (s *Server) Environ(own []string) []string {
	var env []string
	for _, pair := range own {
		name, _, _ := strings.Cut(pair, "=")
		if _, replaced := s.Env[name]; !replaced && !bridgeOnly(name) && (s.All || s.inherits(name)) {
			env = append(env, pair)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		env = append(env, name+"="+s.Env[name])
	}
	return env
}

func bridgeOnly(name string) bool {
	return strings.HasPrefix(name, "BRIDGE_") || strings.HasPrefix(name, "OTEL_") ||
		slices.Contains([]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"}, name)
}

func (s *Server) inherits(name string) bool {
	return slices.ContainsFunc(append(usual(), s.Inherit...), func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// usual is what a program needs to find others, its home and its language.
func usual() []string {
	names := []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"}
	if runtime.GOOS == "windows" {
		names = append(names, "Path", "SYSTEMROOT", "SystemRoot", "SystemDrive", "COMSPEC", "ComSpec", "PATHEXT", "TEMP",
			"TMP", "USERNAME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "ProgramFiles", "ProgramData")
	}
	return names
}
