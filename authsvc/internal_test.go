package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/internal/contract"
	"gatehouse/test/freeport"
)

var internalPaths = map[string]string{
	contract.PathKeys:           http.MethodGet,
	contract.PathSessionsEnded:  http.MethodPost,
	"/internal/sessions/revoke": http.MethodPost,
}

// Under /internal/ only who shows a token of the file gets an answer, and what
// is revoked stands in the log with that name. The file is read anew.
func TestInternalTokens(t *testing.T) {
	issuer := issuertest.Start(t)
	file := filepath.Join(t.TempDir(), "tokens")
	const bridge, operator = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "oooooooooooooooooooooooooooooooo"
	write(t, file, "bridge "+bridge+" ask\n# people\nhong "+operator+"\n")
	g := start(t, issuer, "memory", func(c *config) { c.InternalTokenFile = file }).ready()
	for path, method := range internalPaths {
		for name, header := range map[string][]string{
			"nothing": nil, "a wrong token": {"Authorization", "Bearer " + strings.Repeat("x", 32)}, "its name": {"Authorization", "Bearer hong"},
			"another scheme": {"Authorization", "Basic " + bridge},
		} {
			if res := g.do(g.internal, method, path, "{}", header...); res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s with %s answered %d", path, name, res.StatusCode)
			}
		}
	}
	if res := g.do(g.internal, http.MethodGet, contract.PathKeys, "", "Authorization", "Bearer "+bridge); res.StatusCode != http.StatusOK {
		t.Errorf("the bridge's token answered %d", res.StatusCode)
	}
	if res := g.do(g.internal, http.MethodPost, "/internal/sessions/revoke", `{"sub": "x"}`, "Authorization", "Bearer "+bridge); res.StatusCode != http.StatusForbidden {
		t.Errorf("a token that may only ask revoked: %d", res.StatusCode)
	}
	revoke := []string{http.MethodPost, "/internal/sessions/revoke", `{"sub": "somebody"}`}
	if res := g.do(g.internal, revoke[0], revoke[1], revoke[2], "Authorization", "Bearer "+operator); res.StatusCode != http.StatusNoContent {
		t.Errorf("the operator's token answered %d", res.StatusCode)
	}
	if said := g.log.String(); !strings.Contains(said, `"by":"hong"`) || strings.Contains(said, operator) {
		t.Errorf("the log does not say who revoked, or says too much: %s", said)
	}
	write(t, file, "bridge "+bridge+"\n")
	if res := g.do(g.internal, revoke[0], revoke[1], revoke[2], "Authorization", "Bearer "+operator); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token that was taken out of the file answered %d", res.StatusCode)
	}
}

// With an authority only who has its certificate gets an answer; health and
// metrics answer without one, for probes have none.
func TestInternalCertificates(t *testing.T) {
	issuer := issuertest.Start(t)
	dir := t.TempDir()
	ca := newAuthority(t)
	ca.issue(t, dir, "server")
	ca.issue(t, dir, "bridge")
	newAuthority(t).issue(t, dir, "stranger")
	write(t, filepath.Join(dir, "ca.pem"), ca.pem)
	address := freeport.Addr(t)
	g := start(t, issuer, "memory", func(c *config) {
		c.InternalListen, c.InternalTLSCert, c.InternalTLSKey = address, filepath.Join(
			dir,
			"server.pem",
		), filepath.Join(
			dir,
			"server.key",
		)
		c.InternalClientCA = filepath.Join(dir, "ca.pem")
	})
	ask := func(path, as string) (int, error) {
		conf := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		conf.RootCAs.AppendCertsFromPEM([]byte(ca.pem))
		if as != "" {
			pair, err := tls.LoadX509KeyPair(filepath.Join(dir, as+".pem"), filepath.Join(dir, as+".key"))
			if err != nil {
				t.Fatal(err)
			}
			conf.Certificates = []tls.Certificate{pair}
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
		defer client.CloseIdleConnections()
		res, err := client.Get("https://" + address + path)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	eventually(t, "ready", func() bool { status, _ := ask("/health/ready", ""); return status == http.StatusOK })
	if status, err := ask(contract.PathKeys, "bridge"); status != http.StatusOK {
		t.Errorf("with the bridge's certificate: %d, %v", status, err)
	}
	if status, err := ask(contract.PathKeys, ""); status != http.StatusUnauthorized {
		t.Errorf("without a certificate: %d, %v", status, err)
	}
	if status, err := ask(contract.PathKeys, "stranger"); err == nil {
		t.Errorf("with another authority's certificate: %d", status)
	}
	if status, _ := ask("/metrics", ""); status != http.StatusOK {
		t.Errorf("/metrics without a certificate: %d", status)
	}
	_ = g
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue writes name.pem and name.key, for both ends of a connection.
func (a authority) issue(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().
			Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err1 := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	secret, err2 := x509.MarshalPKCS8PrivateKey(key)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	write(t, filepath.Join(dir, name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
