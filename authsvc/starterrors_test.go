package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session/redistest"
	"gatehouse/test/freeport"
)

// A port that is taken ends the start: the line names the flag, the value and
// the way out.
func TestATakenPortIsNamedByItsFlag(t *testing.T) {
	issuer := issuertest.Start(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, other := range map[string]string{"--listen": "--internal-listen", "--internal-listen": "--listen"} {
		var log bytes.Buffer
		code := run(t.Context(), []string{
			flag, taken.Addr().String(), other, freeport.Addr(t), "--public-url", issuertest.Public, "--issuer", issuer.URL,
			"--client-id", issuertest.Client, "--client-secret", issuertest.Secret, "--allow-any-user",
		}, io.Discard, &log)
		want := fmt.Sprintf("%s: %s is taken by another program: stop that one, or give another address", flag, taken.Addr())
		if code != exitFailed || !strings.Contains(log.String(), want) {
			t.Errorf("%d, want %q:\n%s", code, want, log.String())
		}
	}
}

// A provider that is not where --issuer says, and one that calls itself
// otherwise, are said at the start with the flags to look at.
func TestAWrongIssuerNamesItsFlags(t *testing.T) {
	issuer := issuertest.Start(t)
	for name, wrong := range map[string]string{
		"nobody there": "http://" + freeport.Addr(t), "no such realm": issuer.URL + "/realms/none",
		"another name": strings.Replace(issuer.URL, "127.0.0.1", "localhost", 1),
	} {
		g := start(t, issuer, "memory", func(c *config) { c.Issuer, c.IssuerInternal = wrong, "" })
		eventually(t, name+" is said", func() bool {
			said := g.log.String()
			return strings.Contains(said, "check --issuer") && strings.Contains(said, "--issuer-internal") &&
				strings.Contains(said, wrong)
		})
		g.stop()
	}
}

// A Redis password that is wrong from the start.
func TestAWrongRedisPasswordNamesItsFlag(t *testing.T) {
	issuer, redis := issuertest.Start(t), redistest.Start(t)
	redis.Lock()
	u, err := url.Parse(redis.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("default", "a-wrong-password")
	g := start(t, issuer, u.String())
	eventually(t, "it is said", func() bool {
		return strings.Contains(g.log.String(), "refused the user or password of --redis-url (--redis-url-file)")
	})
	if strings.Contains(g.log.String(), "a-wrong-password") {
		t.Error("the log holds the password")
	}
}
