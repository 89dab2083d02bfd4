//go:build production

package production

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// download is the one line that is not typed as it stands: no test reaches out.
const download = "curl -fLO https://github.com/keycloak/keycloak/releases/download/26.7.3/keycloak-26.7.3.zip"

// page is the page's blocks by their word; those of the way itself have none.
func page(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := Blocks(string(text))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string][]string{}
	replaced := 0
	for _, b := range blocks {
		replaced += strings.Count(b.Text, download)
		b.Text = strings.Replace(b.Text, download, "test -f keycloak-26.7.3.zip # laid by the test", 1)
		words[b.Word] = append(words[b.Word], b.Text)
	}
	if replaced != 1 {
		t.Fatalf("the page downloads Keycloak %d times", replaced)
	}
	return words
}

// TestThePage is one story from the bare host to nothing left; each chapter
// needs those before it.
func TestThePage(t *testing.T) {
	words := page(t)
	b := &box{dir: os.Getenv("GATEHOUSE_BOX"), tree: os.Getenv("GATEHOUSE_TREE")}
	if b.dir == "" || b.tree == "" {
		t.Fatal("run by make production-test")
	}
	t.Cleanup(func() {
		if t.Failed() && b.unshare != nil {
			const logs = "journalctl --no-pager -n 80 -u 'gatehouse-*' -u nginx -u keycloak; tail -n 20 /var/log/nginx/*error.log"
			out, _ := b.command(context.Background(), "sh", "-c", logs).CombinedOutput()
			t.Logf("%s", out)
		}
		b.end()
	})
	own, root := pebble(t)
	s := &story{box: b, words: words, web: client(root), alice: browser(t)}

	b.boot(t)
	s.prepare(t, own, root)
	b.login(t)
	s.chapter(t, "from the bare host to the gate", s.follow)
	s.chapter(t, "what the host had before is as it was", s.beside)
	s.chapter(t, "a colleague signs in and calls", s.firstCall)
	s.chapter(t, "a server of its own", s.ownServer)
	s.chapter(t, "a policy and an audit log", s.policy)
	s.chapter(t, "a credential of each user's own", s.ownCredential)
	s.chapter(t, "the realm's own administrator", s.realmKeeper)
	s.chapter(t, "a restart under load", s.restart)
	s.chapter(t, "a service that hangs", s.watchdog)
	s.chapter(t, "a child that the kernel kills", s.outOfMemory)
	s.chapter(t, "logs are rotated, the certificate renewed", s.rotation)
	s.chapter(t, "an upgrade", s.upgrade)
	s.chapter(t, "a reboot", s.reboot)
	s.chapter(t, "nginx for the gate alone", s.whole)
	s.chapter(t, "away with it", s.away)
}

type story struct {
	*box
	words map[string][]string
	web   *http.Client    // trusts what pebble issues
	first string          // alice's first password
	alice context.Context // her browser
}

func (s *story) chapter(t *testing.T, title string, tell func(*testing.T)) {
	t.Helper()
	began := time.Now()
	if !t.Run(title, tell) {
		t.FailNow()
	}
	fmt.Printf("production: %-46s %6.1f s\n", title, time.Since(began).Seconds())
}

// prepare is what a host has before: a site of its own, and what stands in for
// the outside.
func (s *story) prepare(t *testing.T, certs ...[]byte) {
	t.Helper()
	for i, pem := range certs {
		s.write(t, fmt.Sprintf("/usr/local/share/ca-certificates/pebble-%d.crt", i), string(pem))
	}
	s.run(t, "update-ca-certificates")
	s.run(t, "sh", "-c", "echo '127.0.0.1 "+name+"' >>/etc/hosts; install -d /root/.config/letsencrypt")
	s.run(
		t,
		"sh",
		"-c",
		`echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/zz; echo 'Acquire::Retries "0";' >/etc/apt/apt.conf.d/zz`,
	)
	s.write(t, "/root/.config/letsencrypt/cli.ini", "server = https://localhost:14000/dir\n")
	host(t, "cp", os.Getenv("GATEHOUSE_DEB"), s.file("/root/gatehouse.deb"))
	host(t, "cp", os.Getenv("GATEHOUSE_KEYCLOAK_ZIP"), s.file("/root/keycloak-26.7.3.zip"))
	s.run(t, "sh", "-c", `install -d /etc/nginx/sites-available /etc/nginx/sites-enabled /var/www/other
		echo 'the site that was here' >/var/www/other/index.html
		echo 'server { listen 80; server_name other.example.com; root /var/www/other; }' >/etc/nginx/sites-available/other
		ln -s ../sites-available/other /etc/nginx/sites-enabled/other`)
}

func (s *story) follow(t *testing.T) {
	for _, block := range s.words[""] {
		said := s.typed(t, block)
		if _, after, ok := strings.Cut(said, "alice signs in with "); ok {
			s.first, _, _ = strings.Cut(after, "\n")
		}
		if strings.HasPrefix(block, "gatehouse-doctor") {
			t.Log(said)
		}
	}
	if s.first == "" {
		t.Fatal("the page did not say alice's password")
	}
}

func (s *story) other(t *testing.T) {
	t.Helper()
	if status, body := get(t, s.web, "http://other.example.com/"); status != http.StatusOK ||
		body != "the site that was here\n" {
		t.Errorf("the site that was here: %d %q", status, body)
	}
}

func (s *story) beside(t *testing.T) {
	s.other(t)
	if status, _ := get(t, s.web, "https://unknown.example.com/"); status != 0 {
		t.Errorf("a name without a certificate was served: %d", status)
	}
	for _, path := range []string{"/auth/admin/", "/auth/realms/master"} {
		if status := s.recovered(t, gateURL+path); status != http.StatusNotFound {
			t.Errorf("%s is published: %d", path, status)
		}
	}
	// The unit's filter lets the bridge make boxes.
	if said := s.run(t, "sh", "-c",
		"journalctl --no-pager -u 'gatehouse-bridge@*' | grep -F 'Landlock' || true"); strings.Contains(said, "not permitted") {
		t.Errorf("children are not in boxes: %s", said)
	}
	if mode := s.run(t, "stat", "-c", "%a %U:%G", "/var/log/nginx/mcp-access.log"); mode != "640 www-data:adm" {
		t.Errorf("the audit log is %s", mode)
	}
	open := s.run(t, "find", "/etc/gatehouse", "/etc/keycloak", "/etc/redis/redis.conf", "/etc/nginx/bootstrap",
		"-type", "f", "-perm", "/o+r", "-not", "-path", "/etc/gatehouse/policy/*")
	if open != "" {
		t.Errorf("secrets that all may read:\n%s", open)
	}
	listen := s.run(
		t,
		"sh",
		"-c",
		`ss -Hltn | awk '{print $4}' | grep -v -e '127[.]0[.]' -e '^\[::1\]' | sed 's/.*://' | sort -un`,
	)
	for port := range strings.FieldsSeq(listen) {
		if port != "80" && port != "443" && port != "5001" && port != "14000" && port != "15000" && port != "8053" {
			t.Errorf("port %s is open to all addresses", port)
		}
	}
	if failed := s.run(t, "systemctl", "list-units", "--failed", "--plain", "--no-legend"); failed != "" {
		t.Errorf("units that failed:\n%s", failed)
	}
}

// recovered asks until the address has its allowance back, which the doctor has
// spent: 10 a second come.
func (s *story) recovered(t *testing.T, url string) (status int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if status, _ = get(t, s.web, url); status != http.StatusTooManyRequests {
			return status
		}
		<-time.After(200 * time.Millisecond)
	}
	return status
}

func (s *story) firstCall(t *testing.T) {
	time.Sleep(3 * time.Second) // the doctor has spent this address's allowance, 10 a second come back
	signIn(t, s.alice, s.first)
	key := token(t, s.alice, s.web)
	sum(t, s.web, key, "/mcp")
	who, err := call(t.Context(), s.web, key, "/mcp", "whoami", nil)
	if err != nil || !strings.Contains(who, "alice@example.com") || !strings.Contains(who, "mcp-user") {
		t.Errorf("whoami: %q, %v", who, err)
	}
	if status, _ := get(t, s.web, gateURL+"/mcp"); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
}

func (s *story) ownServer(t *testing.T) {
	for _, block := range s.words["server"] {
		s.typed(t, block)
	}
	key := token(t, s.alice, s.web)
	sum(t, s.web, key, "/servers/notes/mcp")
	sum(t, s.web, key, "/servers/demo/mcp")
	s.run(t, "systemctl", "stop", "gatehouse-bridge@notes")
	if _, err := call(t.Context(), s.web, key, "/servers/notes/mcp", "add", nil); err == nil {
		t.Error("a stopped bridge answered")
	}
	sum(t, s.web, key, "/mcp")
	s.run(t, "systemctl", "start", "gatehouse-bridge@notes")
	sum(t, s.web, key, "/servers/notes/mcp")
}

func (s *story) policy(t *testing.T) {
	for _, block := range s.words["policy"] {
		s.typed(t, block)
	}
	key := token(t, s.alice, s.web)
	sum(t, s.web, key, "/mcp")
	if _, err := call(t.Context(), s.web, key, "/mcp", "countdown", nil); err == nil {
		t.Error("a tool that no rule names was called")
	}
	open, err := session(t.Context(), s.web, key, "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close() }()
	s.run(t, "sed", "-i", "s/whoami, add/whoami, add, countdown/", "/etc/gatehouse/policy/main.yaml")
	s.run(t, "systemctl", "reload", "gatehouse-bridge@main")
	until(t, "the edited policy holds in the open session", func() bool {
		_, err := callIn(t.Context(), open, "countdown", map[string]any{"from": 1})
		return err == nil
	})
	const audit = "/var/log/gatehouse/main/audit.jsonl"
	until(t, "the audit log has the calls", func() bool {
		return strings.Contains(s.run(t, "sh", "-c", "cat "+audit+" || true"), `"tool":"countdown"`)
	})
	if !strings.Contains(s.run(t, "cat", audit), `"outcome":"denied"`) {
		t.Error("the audit log has no refusal")
	}
}

// realmKeeper: apply.sh by an administrator of the realm alone finds all of it there.
func (s *story) realmKeeper(t *testing.T) {
	const kcadm = "/opt/keycloak/bin/kcadm.sh "
	s.run(t, "bash", "-ec", "umask 077; echo keeper >/root/realm-keeper\n"+
		kcadm+"create users -r gatehouse -s username=realm-keeper -s enabled=true -s email=keeper@example.com"+
		" -s emailVerified=true -s firstName=Realm -s lastName=Keeper\n"+
		"KC_CLI_PASSWORD=keeper "+kcadm+"set-password -r gatehouse --username realm-keeper\n"+
		kcadm+"add-roles -r gatehouse --uusername realm-keeper --cclientid realm-management --rolename realm-admin")
	for _, block := range s.words["existing"] {
		if said := s.typed(t, block); !strings.Contains(said, ": 0 changed") {
			t.Errorf("apply.sh by the realm's administrator said:\n%s", said)
		}
	}
}

func (s *story) reboot(t *testing.T) {
	s.end()
	s.boot(t)
	s.login(t)
	until(t, "the gate is back", func() bool {
		status, _ := get(t, s.web, gateURL+"/health")
		return status == http.StatusOK
	})
	until(t, "Keycloak is back", func() bool {
		status, _ := get(t, s.web, realm)
		return status == http.StatusOK
	})
	until(t, "alice is signed in still", func() bool {
		key := token(t, s.alice, s.web)
		_, err := call(t.Context(), s.web, key, "/servers/notes/mcp", "add", map[string]any{"a": 2, "b": 3})
		return err == nil
	})
	s.other(t)
}

func (s *story) whole(t *testing.T) {
	s.typed(t, "gatehouse-nginx remove && systemctl reload nginx")
	until(t, "nginx is without the gate", func() bool {
		status, _ := get(t, s.web, gateURL+"/health")
		return status == 0
	})
	s.other(t)
	s.typed(t, "export GATE="+name)
	for _, block := range s.words["whole"] {
		s.typed(t, block)
	}
	until(t, "the gate alone, with a certificate of its own making", func() bool {
		_, err := s.command(t.Context(), "curl", "-sf", "--cacert", "/etc/nginx/bootstrap/fullchain.pem",
			gateURL+"/health").Output()
		return err == nil
	})
	if status, _ := get(t, s.web, "http://other.example.com/"); status != http.StatusMisdirectedRequest {
		t.Errorf("another name: %d, want 421", status)
	}
}

func (s *story) away(t *testing.T) {
	for _, block := range s.words["remove"] {
		s.typed(t, block)
	}
	s.other(t)
	if left := s.run(t, "sh", "-c", `
		find /etc /usr /var/lib /var/log /var/cache /opt /run -xdev \( -iname '*gatehouse*' -o -lname '*gatehouse*' \) \
			-not -path '/var/lib/dpkg/*' -not -path '/opt/keycloak*' | sort
		find /etc/systemd /run/systemd -xtype l -name '*gatehouse*'
		find /etc/nginx -newer /root/gatehouse.deb -name '*.before-gatehouse'
		systemctl list-units --all --plain --no-legend 'gatehouse-*'
		ls /var/lib/private 2>/dev/null`); left != "" {
		t.Errorf("left after the purge:\n%s", left)
	}
	if failed := s.run(t, "systemctl", "list-units", "--failed", "--plain", "--no-legend"); failed != "" {
		t.Errorf("units that failed:\n%s", failed)
	}
	matches, _ := filepath.Glob(s.file("/etc/nginx/site"))
	if len(matches) > 0 {
		t.Error("/etc/nginx/site is left")
	}
}
