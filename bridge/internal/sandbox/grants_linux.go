package sandbox

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/bridge/internal/sandbox/inside"
)

// system is what every program reads: the machine's programs and settings. Of
// /proc the kernel keeps back what a process outside of the box has in memory,
// its environment and its files.
func system() []string {
	return []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store", "/run/current-system",
		"/proc", "/sys/fs/cgroup", "/sys/devices/system", "/sys/class/net", "/sys/devices/virtual/net", "/sys/kernel/mm",
	}
}

func devices() []string {
	return []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
}

// usualPorts are DNS and HTTPS. Plain HTTP is not among them: that is how a
// cloud's metadata address hands out the machine's own credentials.
func usualPorts() []uint16 { return []uint16{53, 443} }

// grants are what the box is given. It is found anew for each child, for what an
// operator installs must be seen by the next one.
func (b *Box) grants(program, dir string) inside.Description {
	m := b.maker
	g := inside.Description{Devices: devices(), AnyPort: m.spec.AnyPort, Connect: m.ports()}
	g.Read = append(system(), m.spec.Read...)
	for _, link := range []string{"/etc/resolv.conf", "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/localtime"} {
		if real, err := filepath.EvalSymlinks(link); err == nil && !within(real, "/etc") {
			g.Read = append(g.Read, filepath.Dir(real)) // replaced as a whole when it changes
		}
	}
	programs := m.programs(program, dir)
	g.Read = append(g.Read, m.installs(programs)...)
	g.Read = append(g.Read, m.code(programs)...)
	g.Read = append(g.Read, m.named(dir)...)
	if m.open(dir) {
		g.Read = append(g.Read, dir)
	}
	g.Write = append(g.Write, m.spec.Write...)
	if b.dir != "" {
		g.Read = append(g.Read, b.Credentials())
		g.Write = append(g.Write, filepath.Join(b.dir, homeDir), filepath.Join(b.dir, tmpDir))
	}
	if b.cache != "" {
		g.Write, g.Read = append(g.Write, b.cache), append(g.Read, b.seed)
	}
	slices.Sort(g.Read)
	g.Read = slices.Compact(g.Read)
	return g
}

// open reports whether a folder that the entry does not list may be read whole:
// it is nobody's home, not what everybody writes to, and holds no boxes and no
// secrets of the bridge's own.
func (m *Maker) open(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() || info.Mode()&0o002 != 0 || m.host.holdsBoxes(dir) {
		return false
	}
	kept := []string{"/"}
	if home, err := os.UserHomeDir(); err == nil {
		kept = append(kept, home)
	}
	dir = resolved(dir)
	return !slices.ContainsFunc(append(kept, m.host.opts.Secrets...), func(path string) bool {
		return within(resolved(path), dir)
	})
}

// installs are where programs are that the child can name: what is on its PATH,
// with the libraries beside it.
func (m *Maker) installs(programs []string) (found []string) {
	dirs := filepath.SplitList(m.variable("PATH"))
	for _, program := range programs {
		dirs = append(dirs, filepath.Dir(program))
	}
	for _, dir := range dirs {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || !filepath.IsAbs(dir) || within(real, "/usr") || !m.open(real) {
			continue
		}
		found = append(found, real)
		if name := filepath.Base(real); name != "bin" && name != "shims" {
			continue
		}
		for _, name := range []string{
			"lib", "lib64", "libexec", "include", "pyvenv.cfg", "Cellar", "opt", "bin", "shims", "version", "versions",
			"share/uv", "share/pipx", "share/fnm", "share/mise", "share/pnpm",
		} {
			found = append(found, filepath.Join(filepath.Dir(real), name))
		}
	}
	return found
}

// programs are the command, and those that its arguments name: a shell's script,
// what a wrapper is to run.
func (m *Maker) programs(program, dir string) []string {
	found := []string{program}
	for _, arg := range m.cmd.Argv[1:] {
		info, err := os.Stat(at(dir, arg))
		if err == nil && info.Mode().IsRegular() && (isScript(arg) || info.Mode()&0o111 != 0) {
			found = append(found, at(dir, arg))
		}
	}
	return found
}

// code is the project of each program: its folder, and those above it that say
// they belong to it.
func (m *Maker) code(programs []string) (found []string) {
	for _, script := range programs {
		found = append(found, script)
		real, err := filepath.EvalSymlinks(script)
		if err != nil || within(real, "/usr") {
			continue
		}
		found = append(found, real)
		for _, start := range []string{filepath.Dir(script), filepath.Dir(real)} {
			found = append(found, m.project(start)...)
		}
	}
	return found
}

func (m *Maker) project(dir string) (found []string) {
	if m.open(dir) && filepath.Base(dir) != "bin" {
		found = append(found, dir)
	}
	for ; m.open(dir); dir = filepath.Dir(dir) {
		for _, mark := range []string{"package.json", "node_modules", "pyproject.toml", "pyvenv.cfg", "requirements.txt"} {
			if _, err := os.Stat(filepath.Join(dir, mark)); err == nil {
				found = append(found, dir)
				break
			}
		}
	}
	return found
}

func isScript(arg string) bool {
	return slices.Contains([]string{
		".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx", ".py", ".pyz", ".rb", ".jar", ".php", ".pl", ".sh", ".lua", ".wasm",
	}, filepath.Ext(arg))
}

// named are the files and folders that the arguments name and that are there:
// whoever wrote them means the server to read them.
func (m *Maker) named(dir string) (found []string) {
	for _, arg := range m.cmd.Argv[1:] {
		if _, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "-") {
			arg = value
		}
		if arg == "" || strings.HasPrefix(arg, "-") {
			continue
		}
		path := at(dir, arg)
		if info, err := os.Stat(path); err == nil && (!info.IsDir() || m.open(path)) {
			found = append(found, path)
		}
	}
	return found
}

func at(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// workDir is where the child runs: in its home, where it would otherwise be in
// a folder that it may not read.
func (b *Box) workDir(cmd *exec.Cmd) string {
	if cmd.Dir != "" {
		if abs, err := filepath.Abs(cmd.Dir); err == nil {
			return abs
		}
		return cmd.Dir
	}
	own, err := os.Getwd()
	if err != nil || b.dir == "" || b.maker.open(own) {
		return own
	}
	for _, arg := range b.maker.cmd.Argv {
		if _, err := os.Stat(at(own, arg)); err == nil && !filepath.IsAbs(arg) {
			return own // it names what lies there
		}
	}
	return filepath.Join(b.dir, homeDir)
}

var hostPort = regexp.MustCompile(`^[A-Za-z0-9.-]+:([0-9]{1,5})$`)

// ports are those of the entry's list, the usual ones, and those of addresses
// that its arguments and variables name. What is the bridge's own is opened only
// by the list.
func (m *Maker) ports() []uint16 {
	var named []uint16
	for _, arg := range m.cmd.Argv[1:] {
		_, value, _ := strings.Cut(arg, "=")
		named = append(named, portsOf(arg)...)
		named = append(named, portsOf(value)...)
	}
	for _, pair := range m.cmd.Env {
		name, value, _ := strings.Cut(pair, "=")
		named = append(named, portsOf(value)...)
		if n, err := strconv.ParseUint(value, 10, 16); err == nil && strings.HasSuffix(name, "PORT") {
			named = append(named, uint16(n))
		}
	}
	named = slices.DeleteFunc(named, func(p uint16) bool { return slices.Contains(m.host.opts.Reserved, p) })
	all := slices.Concat(usualPorts(), m.spec.Connect, named)
	slices.Sort(all)
	return slices.Compact(all)
}

// portsOf reads a URL, or HOST:PORT.
func portsOf(value string) []uint16 {
	text := ""
	if found := hostPort.FindStringSubmatch(value); found != nil {
		text = found[1]
	} else if u, err := url.Parse(value); err == nil && u.Host != "" {
		if text = u.Port(); text == "" {
			text = map[string]string{
				"http": "80", "postgres": "5432", "postgresql": "5432", "mysql": "3306", "mongodb": "27017",
				"redis": "6379", "rediss": "6379", "amqp": "5672", "amqps": "5671", "ssh": "22", "smtp": "25", "smtps": "465",
			}[u.Scheme]
		}
	}
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return []uint16{uint16(n)}
	}
	return nil
}

// variable is that of the child.
func (m *Maker) variable(name string) string {
	for _, pair := range slices.Backward(m.cmd.Env) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
