package stack

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// NginxValues is what differs between machines: the content of nginx/site.
type NginxValues struct {
	HTTPS, HTTP int
	Cert, Key   string
	Bridge      string // host:port
	BridgeAdmin string
	Authsvc     string
	Authsvcs    []string          // further replicas
	Nodes       map[string]string // further: each node's name (bridge --node) and host:port
	Limits      string            // of site/limits.conf, "" keeps the file
	Proxies     string            // of site/trusted_proxies.conf, "" keeps the file
	Origins     string            // of site/origins.conf, "" keeps the file
	Listen      string            // added to every listen, as "proxy_protocol"
	Prefix      string            // "/team-a"
	Port        string            // of the public URL, "" is that of HTTPS
	Resolver    string            // host:port of a DNS server: Bridge is then looked up as nginx runs
	ServerNames string            // "" is localhost and 127.0.0.1
	ModulesPath string            // folder of dynamic modules, "" is Debian's
}

// envTree names a Debian tree whose nginx comes first on the PATH: its modules and
// its Lua libraries are that nginx's, and not this machine's.
const envTree = "GATEHOUSE_NGINX_TREE"

// RenderNginx copies the repository's nginx/ and lua/ into dir and writes only
// the values of site/. The configuration is dir/nginx.conf.
func RenderNginx(root, dir string, v NginxValues) error {
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "nginx"))); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, "lua"), os.DirFS(filepath.Join(root, "lua"))); err != nil {
		return err
	}
	tree := os.Getenv(envTree)
	if v.ServerNames == "" {
		v.ServerNames = "localhost 127.0.0.1"
	}
	if v.ModulesPath == "" {
		v.ModulesPath = tree + "/usr/lib/nginx/modules"
	}
	if err := modulesOf(tree, dir); err != nil {
		return err
	}
	if v.Port == "" {
		v.Port = fmt.Sprintf(":%d", v.HTTPS)
	}
	files, err := v.site(dir)
	if err != nil {
		return err
	}
	for name, text := range files {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "site", name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, sub := range []string{"acme", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	// Debian's files in modules-enabled name modules/ below nginx's prefix.
	if err := os.Symlink(v.ModulesPath, filepath.Join(dir, "modules")); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}

// modulesOf lets the main file take the modules that a tree has switched on.
func modulesOf(tree, dir string) error {
	if tree == "" {
		return nil
	}
	file := filepath.Join(dir, "nginx.conf")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const enabled = "/etc/nginx/modules-enabled/"
	return os.WriteFile(file, []byte(strings.Replace(string(text), enabled, tree+enabled, 1)), 0o600)
}

var nginxVersion = sync.OnceValues(func() (version [3]int, err error) {
	out, err := exec.Command("nginx", "-v").CombinedOutput()
	if err != nil {
		return version, fmt.Errorf("nginx -v: %w", err)
	}
	_, text, _ := strings.Cut(string(out), "/")
	_, err = fmt.Sscanf(text, "%d.%d.%d", &version[0], &version[1], &version[2])
	return version, err
})

// NginxAtLeast tells whether the nginx on the PATH is of this version or later.
func NginxAtLeast(major, minor, patch int) (bool, error) {
	version, err := nginxVersion()
	return slices.Compare(version[:], []int{major, minor, patch}) >= 0, err
}

// site is the text of each file of nginx/site, "" where the file stays.
func (v NginxValues) site(dir string) (map[string]string, error) {
	http2, http2On := " http2", ""
	switch since, err := NginxAtLeast(1, 25, 1); { // deploy/package/http2.sh does the same
	case err != nil:
		return nil, err
	case since:
		http2, http2On = "", "http2 on;\n"
	}
	listen := func(port int, flags string) string {
		return fmt.Sprintf("listen 127.0.0.1:%d %s %s;\n", port, flags, v.Listen)
	}
	lua := ""
	if tree := os.Getenv(envTree); tree != "" {
		lua = tree + "/usr/share/lua/5.1/?.lua;"
	}
	return map[string]string{
		"process.conf": user() + fmt.Sprintf(
			"pid %q;\nerror_log %q warn;\n",
			dir+"/nginx.pid",
			dir+"/error.log",
		),
		"listen_http.conf":          listen(v.HTTP, ""),
		"listen_http_default.conf":  listen(v.HTTP, "default_server"),
		"listen_https.conf":         listen(v.HTTPS, "ssl"+http2) + http2On,
		"listen_https_default.conf": listen(v.HTTPS, "ssl default_server"+http2) + http2On,
		"names.conf":                fmt.Sprintf("server_name %s;\n", v.ServerNames),
		"certificate.conf":          fmt.Sprintf("ssl_certificate %q;\nssl_certificate_key %q;\n", v.Cert, v.Key),
		"public.conf": fmt.Sprintf(
			"map \"\" $gatehouse_port { default \"%s\"; }\nmap \"\" $gatehouse_prefix { default \"%s\"; }\n",
			v.Port,
			v.Prefix,
		),
		"acme.conf": fmt.Sprintf("root %q;\n", dir+"/acme"),
		"paths.conf": fmt.Sprintf(
			"lua_package_path \"%s/lua/?.lua;%s;\";\n",
			dir,
			lua,
		) + tempPaths(
			dir,
		) + v.resolver(),
		"server.conf": fmt.Sprintf(
			"access_log %q mcp_json buffer=32k flush=1s;\nclient_max_body_size 4m;\n",
			dir+"/access.log",
		),
		"upstreams.conf":       v.upstreams(),
		"limits.conf":          v.Limits,
		"trusted_proxies.conf": v.Proxies,
		"origins.conf":         v.Origins,
	}, nil
}

// user lets the workers into the run directory where root starts nginx; for
// anybody else nginx takes no user.
func user() string {
	if os.Geteuid() != 0 {
		return ""
	}
	return "user root;\n"
}

func tempPaths(dir string) (text string) {
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "scgi", "uwsgi"} {
		text += fmt.Sprintf("%s_temp_path %q;\n", kind, dir+"/tmp/"+kind)
	}
	return text
}

func (v NginxValues) resolver() string {
	if v.Resolver == "" {
		return ""
	}
	return fmt.Sprintf("resolver %s valid=1s ipv6=off;\n", v.Resolver)
}

// upstreams is one group of all bridges, and one for each node by itself.
func (v NginxValues) upstreams() string {
	const group = "upstream %s { %s keepalive 64; }\n"
	server := func(addr string) string { return "server " + addr + " max_fails=0;" }
	anyBridge, all, nodes, groups := "gatehouse_bridge", "", "", ""
	for _, name := range slices.Sorted(maps.Keys(v.Nodes)) {
		all += server(v.Nodes[name])
		nodes += fmt.Sprintf("%s gatehouse_node_%s; ", name, name)
		groups += fmt.Sprintf(group, "gatehouse_node_"+name, server(v.Nodes[name]))
	}
	authsvcs := server(v.Authsvc)
	for _, addr := range v.Authsvcs {
		authsvcs += server(addr)
	}
	switch {
	case v.Resolver != "":
		anyBridge = v.Bridge
	case all == "":
		all = server(v.Bridge)
	}
	if all != "" {
		groups += fmt.Sprintf(group, "gatehouse_bridge", all)
	}
	return groups + fmt.Sprintf(group, "gatehouse_bridge_admin", server(v.BridgeAdmin)) +
		fmt.Sprintf(group, "gatehouse_authsvc", authsvcs) +
		fmt.Sprintf("map $gatehouse_node $gatehouse_bridge { \"\" %s; %sdefault \"\"; }\n", anyBridge, nodes) +
		"map \"\" $gatehouse_authsvc { default gatehouse_authsvc; }\n" +
		fmt.Sprintf("map \"\" $gatehouse_health { default %s; }\n", anyBridge) +
		"map \"\" $gatehouse_metrics { default gatehouse_bridge_admin; }\n"
}
