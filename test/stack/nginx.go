package stack

import (
	"fmt"
	"os"
	"path/filepath"
)

// NginxValues is what differs between machines: the content of nginx/site.
type NginxValues struct {
	HTTPS, HTTP int
	Cert, Key   string
	Bridge      string // host:port
	BridgeAdmin string
	Authsvc     string
	Limits      string // of site/limits.conf, "" keeps the file
	ServerNames string // "" is localhost and 127.0.0.1
	ModulesPath string // folder of dynamic modules, "" is Debian's
}

// RenderNginx copies the repository's nginx/ and lua/ into dir and writes only
// the values of site/. The configuration is dir/nginx.conf.
func RenderNginx(root, dir string, v NginxValues) error {
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "nginx"))); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, "lua"), os.DirFS(filepath.Join(root, "lua"))); err != nil {
		return err
	}
	if v.ServerNames == "" {
		v.ServerNames = "localhost 127.0.0.1"
	}
	if v.ModulesPath == "" {
		v.ModulesPath = "/usr/lib/nginx/modules"
	}
	files := map[string]string{
		"process.conf":              user() + fmt.Sprintf("pid %s/nginx.pid;\nerror_log %s/error.log warn;\n", dir, dir),
		"listen_http.conf":          fmt.Sprintf("listen 127.0.0.1:%d;\n", v.HTTP),
		"listen_http_default.conf":  fmt.Sprintf("listen 127.0.0.1:%d default_server;\n", v.HTTP),
		"listen_https.conf":         fmt.Sprintf("listen 127.0.0.1:%d ssl http2;\n", v.HTTPS),
		"listen_https_default.conf": fmt.Sprintf("listen 127.0.0.1:%d ssl http2 default_server;\n", v.HTTPS),
		"names.conf":                fmt.Sprintf("server_name %s;\n", v.ServerNames),
		"certificate.conf":          fmt.Sprintf("ssl_certificate %s;\nssl_certificate_key %s;\n", v.Cert, v.Key),
		"public.conf":               fmt.Sprintf("map \"\" $gatehouse_port { default \":%d\"; }\nmap \"\" $gatehouse_prefix { default \"\"; }\n", v.HTTPS),
		"acme.conf":                 fmt.Sprintf("root %s/acme;\n", dir),
		"paths.conf": fmt.Sprintf("lua_package_path \"%s/lua/?.lua;/usr/share/lua/5.1/?.lua;;\";\naccess_log %s/access.log mcp_json;\n", dir, dir) +
			tempPaths(dir),
		"upstreams.conf": v.upstreams(),
	}
	if v.Limits != "" {
		files["limits.conf"] = v.Limits
	}
	for name, text := range files {
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
		text += fmt.Sprintf("%s_temp_path %s/tmp/%s;\n", kind, dir, kind)
	}
	return text
}

func (v NginxValues) upstreams() string {
	const group = "upstream %s { server %s max_fails=0; keepalive 64; }\n"
	return fmt.Sprintf(group, "gatehouse_bridge", v.Bridge) +
		fmt.Sprintf(group, "gatehouse_bridge_admin", v.BridgeAdmin) +
		fmt.Sprintf(group, "gatehouse_authsvc", v.Authsvc) +
		"map $gatehouse_node $gatehouse_bridge { \"\" gatehouse_bridge; default \"\"; }\n" +
		"map \"\" $gatehouse_authsvc { default gatehouse_authsvc; }\n" +
		"map \"\" $gatehouse_health { default gatehouse_bridge; }\n" +
		"map \"\" $gatehouse_metrics { default gatehouse_bridge_admin; }\n"
}
