package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// Asks is how this bridge shows authsvc who asks, where authsvc demands it.
type Asks struct {
	TokenFile string // a bearer token, alone or after a name; read anew for each request
	CA        string // who signed authsvc's certificate, if the system does not know it
	Cert, Key string // the bridge's own certificate
}

const askLimit = 10 * time.Second

// Client is the client that asks. What it reads once it has read here.
func (a Asks) Client() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CA != "" {
		pem, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", a.CA)
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	if a.Cert != "" {
		load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(a.Cert, a.Key)
			return &pair, err
		}
		if _, err := load(nil); err != nil {
			return nil, err
		}
		transport.TLSClientConfig.GetClientCertificate = load
	}
	if a.TokenFile == "" {
		return &http.Client{Timeout: askLimit, Transport: transport}, nil
	}
	if _, err := ownToken(a.TokenFile); err != nil {
		return nil, err
	}
	return &http.Client{Timeout: askLimit, Transport: withToken{a.TokenFile, transport}}, nil
}

type withToken struct {
	file string
	next http.RoundTripper
}

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := ownToken(w.file)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return w.next.RoundTrip(r)
}

func ownToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(text))
	if len(fields) == 0 || len(fields) > 2 {
		return "", fmt.Errorf("%s: want one token, or NAME TOKEN", path)
	}
	return fields[len(fields)-1], nil
}
