package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/nginxinc/nginx-go-crossplane"
)

// nginx is the program that will read the configuration, and where that is.
type nginx struct{ program, conf, prefix string }

// oldest is the first nginx that the gate's tests run on: 1.18 lets a request
// through that two servers read differently.
const oldestMajor, oldestMinor = 1, 22

var versionText = regexp.MustCompile(`(?:nginx|openresty)/(\d+)\.(\d+)\.\S+`)

func (n nginx) tooOld(ctx context.Context) ([]fault, error) {
	out, err := exec.CommandContext(ctx, n.program, "-v").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("-nginx %s: %w: %s", n.program, err, bytes.TrimSpace(out))
	}
	found := versionText.FindSubmatch(out)
	if found == nil {
		return nil, fmt.Errorf("-nginx %s: -v says %q, want a version of nginx", n.program, bytes.TrimSpace(out))
	}
	major, _ := strconv.Atoi(string(found[1])) // digits, by the expression
	minor, _ := strconv.Atoi(string(found[2]))
	if major > oldestMajor || major == oldestMajor && minor >= oldestMinor {
		return nil, nil
	}
	return []fault{
		{what: fmt.Sprintf("%s is too old: the gate needs nginx %d.%d or newer", found[0], oldestMajor, oldestMinor),
			mend: "take Debian 12's nginx or a newer one"},
	}, nil
}

func (n nginx) args(conf string) []string {
	args := []string{"-c", conf}
	if n.prefix != "" {
		args = append(args, "-p", n.prefix)
	}
	return args
}

// complaint is a line of nginx, as it prints it to stderr.
var complaint = regexp.MustCompile(
	`(?m)^(?:nginx:|\S+ \S+) \[(emerg|alert|crit|error|warn)\] (?:\d+#\d+: )?(.*?)(?: in (\S+):(\d+))?$`,
)

// deprecatedHTTP2 is what 1.25.1 and later say of `listen ... http2`.
const deprecatedHTTP2 = `"listen ... http2" directive is deprecated`

// test is nginx -t; what it only warns of is a fault too.
func (n nginx) test(ctx context.Context) (faults []fault, fatal bool, err error) {
	out, err := exec.CommandContext(ctx, n.program, append([]string{"-t", "-q"}, n.args(n.conf)...)...).CombinedOutput()
	fatal = err != nil
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		return nil, fatal, fmt.Errorf("-nginx %s: %w", n.program, err)
	}
	for _, found := range complaint.FindAllStringSubmatch(string(out), -1) {
		if found[1] == "alert" && !fatal {
			continue // of the user who runs this, as a limit that only root may raise
		}
		if found[1] == "warn" && !fatal && found[3] == "" {
			continue // of the machine and not of a file
		}
		f := fault{what: "nginx: " + found[2], file: found[3]}
		f.line, _ = strconv.Atoi(found[4])
		if strings.Contains(f.what, deprecatedHTTP2) {
			f.mend = "lay the files of site/http2-since-1.25.1/ over those of site/"
		}
		faults = append(faults, f)
	}
	if fatal && len(faults) == 0 {
		return nil, fatal, fmt.Errorf("%s -t: %s", n.program, bytes.TrimSpace(out))
	}
	return faults, fatal, nil
}

// values runs the init_by_lua_block in the Lua that will run it. `nginx -t` does
// not (since 1.22), so the values of site/limits.conf would be read at the next
// start only: an nginx of its own, without a server, runs the block and ends.
func (n nginx) values(ctx context.Context, root *place) (faults []fault, err error) {
	var blocks []*crossplane.Directive
	config := crossplane.Directives{}
	for _, d := range root.block() {
		if d.Directive == "load_module" {
			config = append(config, d)
		}
	}
	http := crossplane.Directives{}
	for _, d := range root.child("http").block() {
		switch {
		case d.Directive == "init_by_lua_block":
			blocks = append(blocks, d)
		case d.Directive == "lua_package_path", d.Directive == "lua_package_cpath", d.Directive == "lua_shared_dict":
			http = append(http, d)
		}
	}
	if len(blocks) == 0 && !laid(root) {
		return nil, nil
	}
	if len(blocks) == 0 {
		return []fault{
			{
				what: "no init_by_lua_block: the gate has no limits",
				mend: "include site/limits.conf in the http block of " + n.conf,
			},
		}, nil
	}
	dir, err := os.MkdirTemp("", "gatehouse-check-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, block := range blocks {
		said, err := n.runLua(ctx, dir, config, http, block)
		if err != nil {
			return nil, err
		}
		if said != "" {
			faults = append(
				faults,
				at(block, said, "the values and their bounds stand in nginx/site/limits.conf as it is shipped"),
			)
		}
	}
	return faults, nil
}

const wellDone = "gatehouse-check: the block ended well"

// runLua is what the block says where it fails, "" where it does not.
func (n nginx) runLua(
	ctx context.Context,
	dir string,
	config, http crossplane.Directives,
	block *crossplane.Directive,
) (string, error) {
	run := *block
	run.Args = []string{block.Args[0] + "\nio.stderr:write('" + wellDone + "\\n') os.exit(0)"}
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		http = append(http, &crossplane.Directive{Directive: kind + "_temp_path", Args: []string{filepath.Join(dir, kind)}})
	}
	http = append(http, &crossplane.Directive{Directive: "access_log", Args: []string{"off"}}, &run)
	config = append(config,
		&crossplane.Directive{Directive: "pid", Args: []string{filepath.Join(dir, "pid")}},
		&crossplane.Directive{Directive: "events", Block: crossplane.Directives{}},
		&crossplane.Directive{Directive: "http", Block: http})
	var text bytes.Buffer
	lua := &crossplane.Lua{}
	err := crossplane.Build(
		&text,
		crossplane.Config{Parsed: config},
		&crossplane.BuildOptions{Builders: []crossplane.RegisterBuilder{lua.RegisterBuilder()}},
	)
	if err != nil {
		return "", err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, text.Bytes(), 0o600); err != nil {
		return "", err
	}
	args := append(n.args(conf), "-e", "stderr", "-g", "daemon off; master_process off;")
	out, err := exec.CommandContext(ctx, n.program, args...).CombinedOutput()
	if err == nil && bytes.Contains(out, []byte(wellDone)) {
		return "", nil
	}
	if found := luaError.FindSubmatch(out); found != nil {
		return string(found[1]), nil
	}
	return "the block fails: " + string(bytes.TrimSpace(out)), nil
}

// luaError is the message of an error in init_by_lua, without where nginx has it
// from.
var luaError = regexp.MustCompile(`(?m)init_by_lua error: (?:init_by_lua(?:\([^)]*\))?:\d+: )?(.*)$`)
