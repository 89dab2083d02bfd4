//go:build production

package production

import (
	"os"
	"strings"
	"testing"
)

func (s *story) rotation(t *testing.T) {
	key := token(t, s.alice, s.web)
	for _, log := range []string{"/var/log/nginx/mcp-access.log", "/var/log/gatehouse/main/audit.jsonl"} {
		before := s.run(t, "stat", "-L", "-c", "%i", log)
		s.run(t, "logrotate", "--force", "/etc/logrotate.conf")
		sum(t, s.web, key, "/mcp")
		until(t, log+" goes on in a new file", func() bool {
			return s.run(t, "sh", "-c", "stat -L -c '%i %s' "+log+" 2>/dev/null || echo "+before+" 0") != before+" 0" &&
				!strings.HasPrefix(s.run(t, "sh", "-c", "stat -L -c %i "+log+" || echo "+before), before) &&
				s.run(t, "sh", "-c", "wc -l <"+log) != "0"
		})
		if mode := s.run(t, "stat", "-L", "-c", "%a", log); mode != "640" && mode != "600" {
			t.Errorf("%s has mode %s after the rotation", log, mode)
		}
	}
	serial := func() string {
		return s.run(t, "sh", "-c", "echo | openssl s_client -connect 127.0.0.1:443 -servername "+name+" 2>/dev/null"+
			" | openssl x509 -noout -serial")
	}
	before := serial()
	s.run(t, "certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew")
	until(t, "the renewed certificate is served", func() bool { return serial() != before })
	if timer := s.run(t, "systemctl", "is-active", "certbot.timer"); timer != "active" {
		t.Errorf("certbot.timer is %s", timer)
	}
}

// upgrade: the next version has another program file, another file of nginx's
// own, and another of each kind that an operator edits.
func (s *story) upgrade(t *testing.T) {
	old := map[string]string{}
	for _, unit := range []string{bridgeUnit, authUnit, "gatehouse-bridge@notes"} {
		old[unit] = s.property(t, unit, "MainPID")
	}
	s.run(t, "sed", "-i", "s/rate=10r/rate=11r/", "/etc/nginx/site/limits.conf")
	host(t, "cp", os.Getenv("GATEHOUSE_DEB_NEXT"), s.file("/root/gatehouse.deb"))
	for _, block := range s.words["upgrade"] {
		said := s.typed(t, block)
		for _, want := range []string{"restarting what runs", "gatehouse-nginx upgrade", "limits.conf.new"} {
			if !strings.Contains(said, want) {
				t.Errorf("the upgrade does not say %q:\n%s", want, said)
			}
		}
	}
	for unit, before := range old {
		if now := s.property(t, unit, "MainPID"); now == before || now == "0" {
			t.Errorf("%s: process %s before the upgrade, %s after it", unit, before, now)
		}
	}
	for file, want := range map[string]string{
		"/etc/nginx/site/limits.conf":              "rate=11r", // edited: stays
		"/etc/nginx/site/limits.conf.new":          "of the next version",
		"/etc/nginx/site/acme.conf":                "of the next version", // not edited: replaced
		"/etc/nginx/gatehouse/server/tls.conf":     "of the next version",
		"/etc/gatehouse/authsvc.env":               "AUTHSVC_PUBLIC_URL=https://" + name,
		"/etc/gatehouse/bridge/main.env":           "\nBRIDGE_POLICY=",
		"/etc/gatehouse/bridge/main.env.dpkg-dist": "of the next version",
	} {
		if text := s.run(t, "cat", file); !strings.Contains(text, want) {
			t.Errorf("%s does not have %q:\n%s", file, want, text)
		}
	}
	if version := s.run(t, "dpkg-query", "-W", "-f", "${Version}", "gatehouse"); version != "0.0.2" {
		t.Errorf("version %s", version)
	}
	until(t, "the gate is healthy", func() bool {
		status, _ := get(t, s.web, gateURL+"/health")
		return status == 200
	})
	sum(t, s.web, token(t, s.alice, s.web), "/mcp")
	s.other(t)
}
