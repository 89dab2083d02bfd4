package stack

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
)

// Gate is a running gate that somebody else started, as its environment
// variables say.
type Gate struct {
	URL           string // GATEHOUSE_URL
	HTTP          string // GATEHOUSE_HTTP_URL, the plain origin that redirects
	Issuer        string // GATEHOUSE_ISSUER
	CA            string // GATEHOUSE_CA, a PEM file
	AdminPassword string // GATEHOUSE_ADMIN_PASSWORD, of Keycloak's admin
	Parts         string // GATEHOUSE_PARTS: "docker compose -p x" takes "stop redis" and "start redis"
	RedisCLI      string // GATEHOUSE_REDIS_CLI, split at spaces
}

// GateFromEnv reads a Gate; ok is false where GATEHOUSE_URL is not set.
func GateFromEnv() (g Gate, ok bool) {
	return Gate{
		URL: os.Getenv("GATEHOUSE_URL"), HTTP: os.Getenv("GATEHOUSE_HTTP_URL"), Issuer: os.Getenv("GATEHOUSE_ISSUER"),
		CA: os.Getenv("GATEHOUSE_CA"), AdminPassword: os.Getenv("GATEHOUSE_ADMIN_PASSWORD"),
		Parts: os.Getenv("GATEHOUSE_PARTS"), RedisCLI: os.Getenv("GATEHOUSE_REDIS_CLI"),
	}, os.Getenv("GATEHOUSE_URL") != ""
}

// Attach returns the stack of a gate that runs already.
func Attach(g Gate) (*Stack, error) {
	pem, err := os.ReadFile(g.CA)
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("GATEHOUSE_CA: %s holds no certificate", g.CA)
	}
	s := &Stack{
		URL: g.URL, PlainURL: g.HTTP, Issuer: g.Issuer, ca: g.CA, redis: strings.Fields(g.RedisCLI),
		adminPassword: g.AdminPassword,
		tls:           &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}
	s.http = s.HTTPClient()
	healthy := answers(s.http, s.URL+"/health")
	realm := answers(s.http, s.Issuer+"/.well-known/openid-configuration")
	metadata := answers(s.http, s.URL+"/.well-known/oauth-protected-resource")
	s.parts = []*Part{
		{Name: Redis, Wait: "/health", up: healthy}, {Name: Keycloak, Wait: "the realm's metadata", up: realm},
		{Name: Authsvc, Wait: "its metadata", up: metadata}, {Name: Bridge, Wait: "/health", up: healthy},
		{Name: Nginx, Wait: "/health", up: healthy},
	}
	for _, part := range s.parts {
		part.by = strings.Fields(g.Parts)
	}
	return s, nil
}
