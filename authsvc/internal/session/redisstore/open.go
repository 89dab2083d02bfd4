package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Open reads a URL: redis://, rediss:// (TLS), unix://, and with +sentinel
// (parameter master_name) or +cluster for the other kinds. ca, in PEM, is whom
// to trust beside the system's; nil for nobody. It does not connect.
func Open(rawURL string, ca []byte) (*Store, error) {
	client, err := open(rawURL, ca)
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w", hideURL(err))
	}
	return &Store{client: client}, nil
}

// Log hands what the client library says of its connections to fn. It is one
// for the whole process.
func Log(fn func(text string)) { redis.SetLogger(logger(fn)) }

type logger func(string)

func (l logger) Printf(_ context.Context, format string, v ...any) { l(fmt.Sprintf(format, v...)) }

// hideURL drops the URL, and the password in it, from a parser's error.
func hideURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func open(rawURL string, ca []byte) (redis.UniversalClient, error) {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	base, kind, _ := strings.Cut(scheme, "+")
	if !ok || !slices.Contains([]string{"redis", "rediss", "unix"}, base) {
		return nil, errScheme // what stands there instead may be a password
	}
	plain := base + "://" + rest
	switch kind {
	case "sentinel":
		o, err := redis.ParseFailoverURL(plain)
		if err != nil {
			return nil, err
		}
		limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		o.ContextTimeoutEnabled, o.MaxRetries = true, 1
		if err := trust(o.TLSConfig, ca); err != nil {
			return nil, err
		}
		return redis.NewFailoverClient(o), nil
	case "cluster":
		o, err := redis.ParseClusterURL(plain)
		if err != nil {
			return nil, err
		}
		limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		o.ContextTimeoutEnabled = true
		if err := trust(o.TLSConfig, ca); err != nil {
			return nil, err
		}
		return redis.NewClusterClient(o), nil
	case "":
		o, err := redis.ParseURL(plain)
		if err != nil {
			return nil, err
		}
		limit(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout, &o.PoolTimeout)
		o.ContextTimeoutEnabled, o.MaxRetries = true, 1
		if err := trust(o.TLSConfig, ca); err != nil {
			return nil, err
		}
		return redis.NewClient(o), nil
	}
	return nil, errScheme
}

var errScheme = errors.New("want redis://, rediss:// or unix://, with +sentinel or +cluster before the ://")

func limit(timeouts ...*time.Duration) {
	for _, t := range timeouts {
		*t = opLimit
	}
}

// trust adds an authority to what a TLS connection believes.
func trust(conf *tls.Config, ca []byte) error {
	if ca == nil {
		return nil
	}
	if conf == nil {
		return errors.New("a CA is given, but the scheme is not rediss")
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return err
	}
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("the CA's file holds no certificate in PEM")
	}
	conf.RootCAs = roots
	return nil
}
