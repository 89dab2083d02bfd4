package sandbox

import (
	"path/filepath"
	"slices"
	"strings"
)

// Environ is the environment of the child: env with its home, its folder for
// temporary files and that of its server's downloads in place of the bridge's.
// What leads out of the box is taken away.
func (b *Box) Environ(env []string) []string {
	m := b.maker
	if !m.Boxed() || b.dir == "" {
		return env
	}
	home, tmp := filepath.Join(b.dir, homeDir), filepath.Join(b.dir, tmpDir)
	cache := b.cache
	if cache == "" {
		cache = filepath.Join(home, ".cache")
	}
	set := [][2]string{
		{"HOME", home}, {"TMPDIR", tmp}, {"XDG_CACHE_HOME", cache}, {"npm_config_cache", filepath.Join(cache, "npm")},
		{"UV_PYTHON_INSTALL_DIR", filepath.Join(cache, "uv-python")},
	}
	out := slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return !slices.Contains(m.cmd.Own, name) && (outside(name) ||
			slices.ContainsFunc(set, func(s [2]string) bool { return s[0] == name }))
	})
	for _, s := range set {
		if !slices.Contains(m.cmd.Own, s[0]) {
			out = append(out, s[0]+"="+s[1])
		}
	}
	return out
}

// outside are names of what a child cannot reach, and better does not try.
func outside(name string) bool {
	return slices.Contains([]string{
		"TMP", "TEMP", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "NPM_CONFIG_CACHE",
		"UV_CACHE_DIR", "PIP_CACHE_DIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "OLDPWD", "PWD",
	}, name)
}
