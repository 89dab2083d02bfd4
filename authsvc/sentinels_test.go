package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// redises are three Redis with a Sentinel each, from the files of deploy/redis
// with other ports, folders and passwords.
type redises struct {
	t         *testing.T
	dir       string
	ports     [3]int
	sentinels [3]int
	servers   [3]*exec.Cmd
}

const (
	authsvcPassword  = "authsvc-of-the-test"
	operatorPassword = "operator-of-the-test"
)

func startRedises(t *testing.T) *redises {
	t.Helper()
	r := &redises{t: t, dir: t.TempDir()}
	r.certificate()
	for i := range r.ports {
		r.ports[i], r.sentinels[i] = freeport.Port(t), freeport.Port(t)
	}
	for i := range r.ports {
		r.lay("redis.conf", i)
		r.lay("users.acl", i)
		r.lay("sentinel.conf", i)
		r.startServer(i)
	}
	for i := range r.sentinels {
		r.run("redis-server", filepath.Join(r.node(i), "sentinel.conf"), "--sentinel")
	}
	within(t, "three sentinels that know two replicas", func() bool { // they ask the master every 10 s
		for _, port := range r.sentinels {
			said := r.cli(port, "", sentinelPassword, "sentinel", "master", "gatehouse")
			if !strings.Contains(said, "num-slaves\n2\n") || !strings.Contains(said, "num-other-sentinels\n2\n") {
				return false
			}
		}
		return true
	})
	return r
}

const sentinelPassword = "sentinel-of-the-test"

func (r *redises) node(i int) string { return filepath.Join(r.dir, fmt.Sprint(i)) }

// lay writes a file of deploy/redis as an operator of node i edits it.
func (r *redises) lay(name string, i int) {
	text, err := os.ReadFile(filepath.Join("..", "deploy", "redis", name))
	if err != nil {
		r.t.Fatal(err)
	}
	edited := strings.NewReplacer(
		"/etc/redis/tls", r.dir, "/etc/redis", r.node(i), "/var/lib/redis", r.node(i),
		"tls-port 6379", fmt.Sprintf("bind 127.0.0.1\ntls-port %d", r.ports[i]),
		"tls-port 26379", fmt.Sprintf("bind 127.0.0.1\ntls-port %d", r.sentinels[i]),
		"10.0.0.11 6379", fmt.Sprintf("127.0.0.1 %d", r.ports[0]),
		"AUTHSVC_PASSWORD", authsvcPassword, "SENTINEL_PASSWORD", sentinelPassword,
		"REPLICATION_PASSWORD", "replication-of-the-test", "OPERATOR_PASSWORD", operatorPassword,
	).Replace(string(text))
	if err := os.MkdirAll(r.node(i), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.node(i), name), []byte(edited), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// startServer starts Redis i; all but the first begin as its replicas.
func (r *redises) startServer(i int) {
	args := []string{filepath.Join(r.node(i), "redis.conf")}
	if i > 0 {
		args = append(args, "--replicaof", "127.0.0.1", fmt.Sprint(r.ports[0]))
	}
	r.servers[i] = r.run("redis-server", args...)
	eventually(r.t, "redis answers", func() bool {
		return strings.Contains(r.cli(r.ports[i], "operator", operatorPassword, "ping"), "PONG")
	})
}

func (r *redises) run(name string, args ...string) *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func (r *redises) cli(port int, user, password string, args ...string) string {
	argv := []string{"--tls", "--cacert", filepath.Join(r.dir, "ca.crt"), "-h", "127.0.0.1", "-p", fmt.Sprint(port)}
	if user != "" {
		argv = append(argv, "--user", user)
	}
	cmd := exec.CommandContext(r.t.Context(), "redis-cli", append(argv, args...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+password)
	out, _ := cmd.CombinedOutput() // a server that is away is an answer as well
	return string(out)
}

// master is the index of the Redis that the sentinels call the master.
func (r *redises) master() int {
	said := r.cli(r.sentinels[0], "", sentinelPassword, "sentinel", "get-master-addr-by-name", "gatehouse")
	for i, port := range r.ports {
		if strings.Contains(said, fmt.Sprint(port)) {
			return i
		}
	}
	return -1
}

// url is what an operator writes into authsvc's redis-url file.
func (r *redises) url() string {
	q := url.Values{"master_name": {"gatehouse"}, "username": {"authsvc"}, "password": {authsvcPassword}}
	for _, port := range r.sentinels[1:] {
		q.Add("addr", fmt.Sprintf("localhost:%d", port))
	}
	return fmt.Sprintf("rediss+sentinel://:%s@localhost:%d/0?%s", sentinelPassword, r.sentinels[0], q.Encode())
}

// certificate is one for all three and the sentinels: authsvc checks each
// against the name in its URL.
func (r *redises) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{
			net.IPv4(127, 0, 0, 1),
		}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		r.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{
		"ca.crt": cert, "redis.crt": cert, "redis.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	} {
		if err := os.WriteFile(filepath.Join(r.dir, name), text, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}
