package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"gatehouse/internal/httpkit"
)

// minToken is how short a token of a caller may be.
const minToken = 32

// Callers tells who asks on the internal listener. Each of its demands that is
// set must be met; where none is, whoever reaches the listener may ask.
type Callers struct {
	TokenFile string // NAME TOKEN [ask] in each line, read anew for each request; "" demands none
	Cert      bool   // demands a client certificate, which the listener has verified
}

// asks marks a token whose holder may ask and end nothing: a bridge's, which
// whatever runs beside it might read.
const asks = "ask"

type callerKey struct{}

type caller struct {
	name    string
	onlyAsk bool
}

// callerOf is who asks: the token's name, else the certificate's, else the
// address.
func callerOf(r *http.Request) string {
	if c, ok := r.Context().Value(callerKey{}).(caller); ok && c.name != "" {
		return c.name
	}
	return "whoever is at " + r.RemoteAddr
}

// Wrap lets in who meets the demands.
func (c Callers) Wrap(next http.Handler) http.Handler {
	return httpkit.Handle(func(w http.ResponseWriter, r *http.Request) error {
		who, err := c.who(r)
		switch {
		case errors.Is(err, errStranger):
			w.Header().Set("WWW-Authenticate", "Bearer")
			return &httpkit.Error{Code: http.StatusUnauthorized, Msg: "this listener demands to know who asks", Err: err}
		case err != nil:
			return unavailable(err)
		case who.onlyAsk && r.URL.Path == PathRevoke:
			return &httpkit.Error{Code: http.StatusForbidden, Msg: "this token may ask, and end nothing"}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
		return nil
	})
}

var errStranger = errors.New("neither a token of the file nor a certificate of the authority")

func (c Callers) who(r *http.Request) (who caller, err error) {
	if c.Cert {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			return who, errStranger
		}
		who.name = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	if c.TokenFile == "" {
		return who, nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return who, errStranger
	}
	tokens, err := readTokens(c.TokenFile)
	if err != nil {
		return who, err
	}
	shown := sha256.Sum256([]byte(token))
	found := false
	for want, of := range tokens {
		if subtle.ConstantTimeCompare(shown[:], want[:]) == 1 {
			who, found = of, true
		}
	}
	if !found {
		return who, errStranger
	}
	return who, nil
}

// Check reports what is wrong with the token file, by line.
func (c Callers) Check() error {
	if c.TokenFile == "" {
		return nil
	}
	_, err := readTokens(c.TokenFile)
	return err
}

// readTokens returns the callers by the hash of their token.
func readTokens(path string) (map[[sha256.Size]byte]caller, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	tokens := map[[sha256.Size]byte]caller{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		who, token, err := readCaller(fields)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		sum := sha256.Sum256([]byte(token))
		if other, twice := tokens[sum]; twice { // which of the two may end sessions?
			return nil, fmt.Errorf("%s, line %d: %s has the token of %s; give it one of its own", path, n, who.name, other.name)
		}
		tokens[sum] = who
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s holds no token: want NAME TOKEN in each line", path)
	}
	return tokens, nil
}

func readCaller(fields []string) (who caller, token string, err error) {
	switch {
	case len(fields) == 1: // a file with one token alone
		fields = []string{"internal", fields[0]}
	case len(fields) == 3 && fields[2] == asks:
		who.onlyAsk = true
	case len(fields) != 2:
		return who, "", errors.New("want NAME TOKEN, or NAME TOKEN " + asks)
	}
	who.name = fields[0]
	if len(fields[1]) < minToken {
		return who, "", fmt.Errorf("a token has at least %d characters", minToken)
	}
	return who, fields[1], nil
}

// TLS is what the internal listener speaks. The certificate is read anew for
// each connection, so that it can be renewed. A client's is asked for where ca
// names who signs them; whether it is demanded is Callers' to say, for probes
// and Prometheus have none.
func TLS(cert, key, ca string) (*tls.Config, error) {
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		return &pair, err
	}
	if _, err := load(nil); err != nil {
		return nil, err
	}
	conf := &tls.Config{GetCertificate: load, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if ca == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	conf.ClientCAs = x509.NewCertPool()
	if !conf.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", ca)
	}
	conf.ClientAuth = tls.VerifyClientCertIfGiven
	return conf, nil
}
