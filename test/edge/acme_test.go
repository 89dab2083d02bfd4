package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/freeport"
)

// unlimited is for one caller that stands for thousands.
var unlimited = strings.Replace(limits(1e6, 1e6, 2), "rate=1000r/s", "rate=100000r/s", 1)

const acmeName = "mcp.example.com"

// Let's Encrypt's own test server and certbot as production runs it: a first
// certificate by webroot, then a renewal while a stream is open and calls run.
func TestCertbotIssuesAndRenewsUnderOpenStreams(t *testing.T) {
	t.Parallel()
	g := start(t, options{
		limits: unlimited,
		bridge: alive,
		edit: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "site", "names.conf"), "server_name localhost 127.0.0.1 "+acmeName+";\n")
		},
	})
	acme := pebble(t, g)
	certbot := func(args ...string) {
		t.Helper()
		cmd := exec.Command("certbot", append(args, "--non-interactive", "--config-dir", filepath.Join(g.dir, "certbot"),
			"--work-dir", filepath.Join(g.dir, "certbot-work"), "--logs-dir", filepath.Join(g.dir, "certbot-logs"))...)
		cmd.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+acme.ca)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("certbot %v: %v\n%s", args, err, out)
		}
	}
	certbot("certonly", "--webroot", "-w", filepath.Join(g.dir, "acme"), "-d", acmeName, "--server", acme.directory,
		"--agree-tos", "--email", "ops@example.com", "--no-eff-email",
		"--deploy-hook", fmt.Sprintf("nginx -s reload -p %s -c %s", g.dir, filepath.Join(g.dir, "nginx.conf")))
	live := filepath.Join(g.dir, "certbot", "live", acmeName)
	write(t, filepath.Join(g.dir, "site", "certificate.conf"),
		fmt.Sprintf("ssl_certificate %s/fullchain.pem;\nssl_certificate_key %s/privkey.pem;\n", live, live))
	run(t, "nginx", "-s", "reload", "-p", g.dir, "-c", filepath.Join(g.dir, "nginx.conf"))
	var issuer, first string
	until(t, "the issued certificate is served", func() bool {
		issuer, first = g.served(t)
		return strings.Contains(issuer, "Pebble")
	})

	stream, calls := g.stream(t), g.calls(t)
	certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")
	until(t, "the renewed certificate is served", func() bool {
		_, serial := g.served(t)
		return serial != first
	})
	if n, err := calls(); n == 0 || err != nil {
		t.Errorf("%d calls during the renewal, %v", n, err)
	}
	if !stream() {
		t.Error("the open stream was lost")
	}
}

type acmeServer struct{ ca, directory string }

// pebble runs Let's Encrypt's test server, for which every name is this machine
// and port 80 is g's plain port.
func pebble(t *testing.T, g *gate) acmeServer {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	run(
		t,
		"openssl",
		"req",
		"-x509",
		"-newkey",
		"ec",
		"-pkeyopt",
		"ec_paramgen_curve:P-256",
		"-nodes",
		"-keyout",
		key,
		"-out",
		cert,
		"-days",
		"1",
		"-subj",
		"/CN=localhost",
		"-addext",
		"subjectAltName=DNS:localhost",
	)
	_, plain, err := net.SplitHostPort(strings.TrimPrefix(g.plain, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var httpPort int
	if _, err := fmt.Sscan(plain, &httpPort); err != nil {
		t.Fatal(err)
	}
	api, dns := freeport.Port(t), freeport.Port(t)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf(
			"127.0.0.1:%d",
			api,
		), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", freeport.Port(t)),
		"certificate": cert, "privateKey": key, "httpPort": httpPort, "tlsPort": freeport.Port(t), "ocspResponderURL": "",
	}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "pebble.json"), string(config))
	background(
		t,
		nil,
		"pebble-challtestsrv",
		"-defaultIPv4",
		"127.0.0.1",
		"-defaultIPv6",
		"",
		"-dns01",
		fmt.Sprintf("127.0.0.1:%d", dns),
		"-http01",
		"",
		"-https01",
		"",
		"-tlsalpn01",
		"",
		"-management",
		fmt.Sprintf("127.0.0.1:%d", freeport.Port(t)),
	)
	background(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"}, "pebble",
		"-config", filepath.Join(dir, "pebble.json"), "-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns))
	s := acmeServer{ca: cert, directory: fmt.Sprintf("https://localhost:%d/dir", api)}
	until(t, "pebble answers", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", api))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return s
}

// background runs a program until the test ends.
func background(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// served is the issuer and the serial number of the certificate in use.
func (g *gate) served(t *testing.T) (issuer, serial string) {
	t.Helper()
	conn, err := tls.Dial(
		"tcp",
		strings.TrimPrefix(g.url, "https://"),
		&tls.Config{ServerName: acmeName, InsecureSkipVerify: true},
	) //nolint:gosec // looked at, not trusted
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	leaf := conn.ConnectionState().PeerCertificates[0]
	return leaf.Issuer.CommonName, leaf.SerialNumber.String()
}

// http2 is a client whose connection nginx can take leave of: at a reload the
// old worker sends GOAWAY, and what it did not take is sent again. Over HTTP/1.1
// a request may cross the closing of an idle connection (RFC 9112, 9.3.1), and
// a POST is not sent again; nginx 1.27.4 has keepalive_min_timeout for that.
func (g *gate) http2(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	} //nolint:gosec // the certificate is a test's own
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// stream opens an event stream; what it returns says whether events still come.
func (g *gate) stream(t *testing.T) (alive func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", bearer)
	res, err := g.http2(t).Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("stream: %v, %v", res, err)
	}
	var events atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = res.Body.Close() }()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			events.Add(1)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return func() bool {
		before := events.Load()
		for end := time.Now().Add(wait); events.Load() == before; time.Sleep(10 * time.Millisecond) {
			select {
			case <-ended:
				return false
			default:
			}
			if time.Now().After(end) {
				return false
			}
		}
		return true
	}
}

// calls makes one call after the other; what it returns ends them, and says how
// many went well and which did not.
func (g *gate) calls(t *testing.T) (stop func() (int, error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	type outcome struct {
		n   int
		err error
	}
	result, client := make(chan outcome, 1), g.http2(t)
	go func() {
		var o outcome
		for ctx.Err() == nil && o.err == nil {
			req, err := http.NewRequest(http.MethodPost, g.url+"/mcp", strings.NewReader("{}"))
			if err != nil {
				o.err = err
				break
			}
			req.Header.Set("Authorization", bearer)
			res, err := client.Do(req)
			if err != nil {
				o.err = err
				break
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				o.err = fmt.Errorf("call %d: %s", o.n, res.Status)
			}
			o.n++
		}
		result <- o
	}()
	t.Cleanup(cancel)
	return func() (int, error) {
		cancel()
		o := <-result
		return o.n, o.err
	}
}
