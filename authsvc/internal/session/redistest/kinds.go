package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// ACL is what the store's user needs and no more; deploy/redis/users.acl gives
// it these.
const ACL = "resetchannels &gatehouse:* ~gatehouse:* -@all " +
	"+get +set +del +eval +evalsha +publish +subscribe +unsubscribe +ping +hello"

func onPort(t testing.TB, args ...string) *Server {
	t.Helper()
	addr := freeport.Addr(t)
	_, port, _ := net.SplitHostPort(addr)
	return run(t, &Server{URL: "redis://" + addr, listen: [2]string{"tcp", addr}, argv: append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", dir(t),
	}, args...)})
}

// StartACL starts a server on which a user has only the rights of ACL, and
// nobody else any.
func StartACL(t testing.TB) *Server {
	t.Helper()
	socket := filepath.Join(dir(t), "s")
	return run(t, &Server{URL: "unix://gate:pw@" + socket, listen: [2]string{"unix", socket}, argv: append([]string{
		"--port", "0", "--unixsocket", socket, "--user", "default", "off", "--user", "gate", "on", ">pw",
	}, strings.Fields(ACL)...)})
}

// StartTLS starts a server that speaks TLS alone, with a certificate that only
// its own CA vouches for.
func StartTLS(t testing.TB) *Server {
	t.Helper()
	home, addr := dir(t), freeport.Addr(t)
	_, port, _ := net.SplitHostPort(addr)
	cert, key := certificate(t, home)
	pemCA, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, &Server{URL: "rediss://" + addr, CA: pemCA, listen: [2]string{"tcp", addr}, argv: []string{
		"--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--dir", home,
	}})
}

func certificate(t testing.TB, home string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{
			net.IPv4(127, 0, 0, 1),
		}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(home, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", raw)
}

// Sentinel is a master with one replica and one sentinel that watches them.
type Sentinel struct {
	URL string

	t    testing.TB
	port string // of the sentinel
	both [2]*Server
}

// Roles tells which of the two the sentinel calls the master. It may change
// without a death: a busy machine can keep a master waiting until it passes for dead.
func (s *Sentinel) Roles() (master, replica *Server) {
	s.t.Helper()
	said, err := cli(s.port, "sentinel", "get-master-addr-by-name", "gate")
	lines := strings.Fields(said)
	if err != nil || len(lines) != 2 {
		s.t.Fatalf("the sentinel names no master: %q, %v", said, err)
	}
	if net.JoinHostPort(lines[0], lines[1]) == s.both[0].listen[1] {
		return s.both[0], s.both[1]
	}
	return s.both[1], s.both[0]
}

// downAfter is the silence by which the sentinel takes a master for dead. A
// master that is only kept waiting must not pass for one.
const downAfter = 3 * time.Second

// StartSentinel starts the three, and waits until the sentinel knows both.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	master := onPort(t)
	host, port, _ := net.SplitHostPort(master.listen[1])
	replica := onPort(t, "--replicaof", host+" "+port)
	conf := filepath.Join(dir(t), "sentinel.conf")
	text := fmt.Sprintf(
		"sentinel monitor gate %s %s 1\nsentinel down-after-milliseconds gate %d\nsentinel failover-timeout gate 10000\n",
		host,
		port,
		downAfter.Milliseconds(),
	)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := strconv.Itoa(freeport.Port(t))
	sentinel := &Server{
		listen: [2]string{"tcp", "127.0.0.1:" + at},
		argv:   []string{conf, "--sentinel", "--port", at, "--bind", "127.0.0.1"},
	}
	run(t, sentinel)
	await(t, "the sentinel knows the replica", func() error {
		out, err := cli(at, "sentinel", "replicas", "gate")
		if err == nil && (!strings.Contains(out, "slave") || !strings.Contains(out, "master-link-status\nok")) {
			err = errors.New(out)
		}
		return err
	})
	return &Sentinel{
		URL: "redis+sentinel://127.0.0.1:" + at + "?master_name=gate", t: t, port: at, both: [2]*Server{master, replica},
	}
}

// StartCluster starts three masters that share the slots, and returns the URL.
func StartCluster(t testing.TB) string {
	t.Helper()
	create := []string{"--cluster", "create"}
	var ports []string
	for range 3 {
		s := onPort(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freeport.Port(t)))
		_, port, _ := net.SplitHostPort(s.listen[1])
		ports, create = append(ports, port), append(create, s.listen[1])
	}
	if out, err := exec.Command("redis-cli", append(create, "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("redis-cli --cluster create: %v\n%s", err, out)
	}
	for _, port := range ports {
		await(t, "the cluster is whole", func() error {
			out, err := cli(port, "cluster", "info")
			if err == nil && !strings.Contains(out, "cluster_state:ok") {
				err = errors.New(out)
			}
			return err
		})
	}
	return "redis+cluster://127.0.0.1:" + ports[0]
}

func cli(port string, args ...string) (string, error) {
	out, err := exec.Command("redis-cli", append([]string{"-p", port}, args...)...).CombinedOutput()
	return string(out), err
}
