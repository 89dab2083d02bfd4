package compose

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// volume is the volume gate in a folder, with the scripts of the containers that
// meet there, each with its paths below that folder.
type volume struct{ dir string }

func newVolume(t *testing.T) volume {
	t.Helper()
	v := volume{t.TempDir()}
	for _, folder := range []string{
		"gate", "internal", "bin", "realm", "gatehouse", "opt/keycloak/bin", "opt/keycloak/data/import",
	} {
		if err := os.MkdirAll(filepath.Join(v.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// Whose a file is only root may say; its content is what is looked at.
	v.program(t, "bin/chown", "exit 0")
	v.program(t, "bin/install", `while [ $# -gt 2 ]; do shift; done; cp "$1" "$2"`)
	v.program(t, "opt/keycloak/bin/kc.sh", `echo "kc.sh $*"
echo "grant ${GATEHOUSE_LOCAL_PASSWORD_GRANT-none}"
echo "secret $GATEHOUSE_CLIENT_SECRET"
ls "`+v.dir+`/opt/keycloak/data/import"`)
	// A realm with alice and no bob, whose client has an id.
	v.program(t, "opt/keycloak/bin/kcadm.sh", `echo "$*" >>"`+v.dir+`/kcadm.log"
echo "password ${KC_CLI_PASSWORD-none}" >>"`+v.dir+`/kcadm.log"
case "$*" in "get users -q username=alice"*) echo id-of-alice ;; "get clients"*) echo id-of-cli ;; esac`)
	for name, from := range map[string]string{
		"realm/gatehouse-realm.json":   "deploy/keycloak/gatehouse-realm.json",
		"realm/gatehouse-users-0.json": "deploy/keycloak/gatehouse-users-0.json",
		"bin/init.sh":                  "deploy/images/init.sh",
		"gatehouse/start.sh":           "deploy/compose/keycloak/start.sh",
		"gatehouse/admin.sh":           "deploy/compose/keycloak/admin.sh",
		"gatehouse/add-user.sh":        "deploy/compose/keycloak/add-user.sh",
		"gatehouse/without-samples.sh": "deploy/compose/keycloak/without-samples.sh",
	} {
		text := read(t, from)
		if strings.HasSuffix(name, ".sh") {
			for _, path := range []string{"/gate", "/internal/", "/realm/", "/opt/keycloak/"} {
				text = strings.ReplaceAll(text, " "+path, " "+v.dir+path)
			}
		}
		v.put(t, name, text)
	}
	return v
}

func (v volume) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (v volume) program(t *testing.T, name, text string) {
	t.Helper()
	v.put(t, name, "#!/bin/sh\n"+text+"\n")
	//nolint:gosec // it is run
	if err := os.Chmod(filepath.Join(v.dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
}

// run is a script of the volume, with values of its container.
func (v volume) run(t *testing.T, env []string, script string, args ...string) (code int, said string) {
	t.Helper()
	shell := "bash"
	if script == "bin/init.sh" {
		shell = "sh"
	}
	cmd := exec.CommandContext(t.Context(), shell, append([]string{filepath.Join(v.dir, script)}, args...)...)
	cmd.Env = append([]string{"PATH=" + v.dir + "/bin:" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (v volume) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(v.dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

const here, elsewhere = "PUBLIC_URL=https://localhost:8443", "PUBLIC_URL=https://mcp.example.com"

// alice and bob, whose passwords are in the repository, and the grant by password are
// in a realm that only this machine reaches, and in no other.
func TestNoSampleUsersInAPublishedGate(t *testing.T) {
	t.Parallel()
	// What is below is Keycloak's only start, and its folder is empty before.
	for _, line := range []string{
		"entrypoint: [/bin/bash, /gatehouse/start.sh]", `tmpfs: ["/opt/keycloak/data/import:`,
	} {
		if text := read(t, "docker-compose.yml"); !strings.Contains(text, line) ||
			strings.Contains(text, "GATEHOUSE_LOCAL_PASSWORD_GRANT") || strings.Contains(text, "users-0") {
			t.Errorf("docker-compose.yml starts Keycloak in another way than by %s", line)
		}
	}
	for name, c := range map[string]struct {
		env     []string
		samples bool
	}{
		"as it is shipped":          {[]string{"BIND=127.0.0.1", here}, true},
		"nothing said of BIND":      {[]string{here}, true},
		"another loopback":          {[]string{"BIND=[::1]", "PUBLIC_URL=https://127.0.0.1:8443"}, true},
		"every address":             {[]string{"BIND=0.0.0.0", here}, false},
		"every address, and a name": {[]string{"BIND=0.0.0.0", elsewhere}, false},
		"every address of IPv6":     {[]string{"BIND=[::]", here}, false},
		"one of the network":        {[]string{"BIND=192.168.1.5", here}, false},
		"a tunnel on this machine":  {[]string{"BIND=127.0.0.1", elsewhere}, false},
		"a name that seems local":   {[]string{"BIND=127.0.0.1", "PUBLIC_URL=https://127.example.com"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVolume(t)
			for range 2 { // a second `up` is as the first
				if code, said := v.run(t, c.env, "bin/init.sh"); code != 0 {
					t.Fatalf("init: exit %d: %s", code, said)
				}
			}
			code, said := v.run(t, nil, "gatehouse/start.sh")
			if code != 0 || !strings.Contains(said, "kc.sh start-dev --import-realm\n") ||
				!strings.Contains(said, "secret "+v.read(t, "gate/client-secret")+"\n") ||
				!strings.Contains(said, "gatehouse-realm.json") {
				t.Fatalf("Keycloak's start: exit %d: %s", code, said)
			}
			if got := strings.Contains(said, "gatehouse-users-0.json"); got != c.samples {
				t.Errorf("the sample users are imported: %t\n%s", got, said)
			}
			if got := strings.Contains(said, "grant true"); got != c.samples {
				t.Errorf("the grant by password is on: %t\n%s", got, said)
			}
		})
	}
}

// A realm that has alice and bob from a run on loopback is not published: the start
// says what to do, until it is done.
func TestARealmWithSamplesIsNotPublished(t *testing.T) {
	t.Parallel()
	published := []string{"BIND=0.0.0.0", elsewhere}
	refused := func(t *testing.T, v volume) {
		t.Helper()
		code, said := v.run(t, published, "bin/init.sh")
		if code != 2 || !strings.Contains(said, "down --volumes") || !strings.Contains(said, "alice and bob") {
			t.Fatalf("published: exit %d: %s", code, said)
		}
	}
	good := func(t *testing.T, v volume, env ...string) {
		t.Helper()
		if code, said := v.run(t, env, "bin/init.sh"); code != 0 {
			t.Fatalf("%v: exit %d: %s", env, code, said)
		}
	}
	t.Run("of a run on loopback", func(t *testing.T) {
		t.Parallel()
		v := newVolume(t)
		good(t, v, here)
		refused(t, v)
		refused(t, v)
		good(t, v, here)
		refused(t, v)
		v.put(t, "gate/users", "own\n") // the line of the page, when they are gone
		good(t, v, published...)
	})
	t.Run("of an init that did not know", func(t *testing.T) {
		t.Parallel()
		v := newVolume(t)
		v.put(t, "gate/store-key", "a key\n")
		refused(t, v)
		good(t, v, here)
		refused(t, v)
	})
	t.Run("of another Keycloak", func(t *testing.T) {
		t.Parallel()
		v := newVolume(t)
		good(t, v, append(published, "KEYCLOAK=existing")...)
		good(t, v, append(published, "KEYCLOAK=existing")...)
	})
	t.Run("published first", func(t *testing.T) {
		t.Parallel()
		v := newVolume(t)
		good(t, v, published...)
		good(t, v, here)
		good(t, v, published...)
	})
}

// What Keycloak's own admin does from inside its container, without a password among
// the arguments.
func TestUsersOfAPublishedGate(t *testing.T) {
	t.Parallel()
	v := newVolume(t)
	v.put(t, "gate/keycloak-admin-password", "of-the-admin\n")
	if code, said := v.run(t, nil, "gatehouse/add-user.sh", "carol"); code != 2 || !strings.Contains(said, "NAME EMAIL") {
		t.Errorf("without an address: exit %d: %s", code, said)
	}
	code, said := v.run(t, nil, "gatehouse/add-user.sh", "carol", "carol@example.com", "mcp-admin")
	_, password, _ := strings.Cut(said, "carol signs in with ")
	password, _, _ = strings.Cut(password, ",")
	log := v.read(t, "kcadm.log")
	if code != 0 || len(password) < 20 {
		t.Fatalf("exit %d: %s", code, said)
	}
	for _, want := range []string{
		"config credentials --server http://localhost:8080/auth --realm master --user admin ", "password of-the-admin\n",
		"create users -s username=carol -s email=carol@example.com ", "set-password --username carol --temporary ",
		"password " + password + "\n", "--uusername carol --rolename mcp-user ", "--uusername carol --rolename mcp-admin ",
	} {
		if !strings.Contains(log+"\n", want) {
			t.Errorf("kcadm was not told %q:\n%s", want, log)
		}
	}
	if strings.Count(log, password) != 1 || strings.Count(log, "of-the-admin") != 1 {
		t.Errorf("a password is told where it is not asked for:\n%s", log)
	}
	v.put(t, "kcadm.log", "")
	code, said = v.run(t, nil, "gatehouse/without-samples.sh")
	log = v.read(t, "kcadm.log")
	if code != 0 || !strings.Contains(log, "delete users/id-of-alice ") || strings.Count(log, "delete ") != 1 ||
		!strings.Contains(log, "update clients/id-of-cli -s directAccessGrantsEnabled=false ") {
		t.Errorf("exit %d: %s\n%s", code, said, log)
	}
}
