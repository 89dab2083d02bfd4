package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	burst     = 200 // at most: a slow machine sends few more in a second than the address may have
	atOnce    = 20  // from far away one after another would be slower than the limit
	firstByte = 8 * time.Second
	logFlush  = 4 * time.Second // nginx writes once a second
	logLook   = 50 * time.Millisecond
)

func limitCheck() check {
	return check{
		"limit for an address",
		"limit_req of gatehouse in every location, zone and rate in nginx/site/limits.conf",
		limited,
	}
}

// limited sends requests until one is answered 429, with a JSON body, and no more
// than a burst of them.
func limited(ctx context.Context, g *gate) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quick := *g
	quick.pause = 0
	results := make(chan error, burst)
	for range atOnce {
		go func() {
			for range burst / atOnce {
				results <- quick.meetsLimit(ctx)
			}
		}()
	}
	for range burst {
		if err := <-results; !errors.Is(err, errPassed) {
			if err == nil {
				g.oneOfMany = quick.countsCredentials(ctx)
			}
			return err
		}
	}
	return fmt.Errorf("%d requests and no 429", burst)
}

// countsCredentials reports whether a caller with a credential is let through
// while this address is limited: nginx then takes the address for one that many
// share. From far away the limit may be over too soon to tell.
func (g *gate) countsCredentials(ctx context.Context) bool {
	for range atOnce {
		header := jsonHeader()
		header["Authorization"] = "Bearer " + rand.Text()
		own, err := g.ask(ctx, http.MethodPost, "/mcp", initialize, header)
		if err != nil || own.StatusCode == http.StatusTooManyRequests {
			return false
		}
		if g.meetsLimit(ctx) == nil {
			return true
		}
	}
	return false
}

var errPassed = errors.New("let through")

// meetsLimit sends one request: nil is a proper 429.
func (g *gate) meetsLimit(ctx context.Context) error {
	a, err := g.ask(ctx, http.MethodPost, "/mcp", initialize, jsonHeader())
	switch {
	case err != nil:
		return err
	case a.StatusCode != http.StatusTooManyRequests:
		return errPassed
	case !strings.Contains(a.Header.Get("Content-Type"), "json"):
		return fmt.Errorf("the 429 is %q, want JSON", a.Header.Get("Content-Type"))
	}
	return nil
}

func streamChecks() []check {
	return []check{
		{"stream", "include gatehouse/location/stream.conf: proxy_buffering off, HTTP/1.1 to the bridge, no gzip", stream},
		{
			"session",
			"the token's audience must be the resource of the metadata, its scope mcp.access, its user's role --require-role",
			session,
		},
	}
}

func (g *gate) signedIn() map[string]string {
	h := jsonHeader()
	h["Authorization"] = "Bearer " + g.token
	return h
}

// stream wants the first event while the stream is still open.
func stream(ctx context.Context, g *gate) error {
	ctx, cancel := context.WithTimeout(ctx, firstByte)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url.String()+"/sse", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+g.token)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := g.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // cut on purpose
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return fmt.Errorf("/sse answered %d %q", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "event: endpoint") {
		return fmt.Errorf("no endpoint event within %v: %q", firstByte, line)
	}
	return nil
}

func session(ctx context.Context, g *gate) error {
	a, err := g.ask(ctx, http.MethodPost, "/mcp", initialize, g.signedIn())
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "serverInfo") {
		return fmt.Errorf("initialize answered %d%s", a.StatusCode, said(a.body))
	}
	end := g.signedIn()
	end["Mcp-Session-Id"] = a.Header.Get("Mcp-Session-Id")
	_, err = g.ask(ctx, http.MethodDelete, "/mcp", "", end)
	return err
}

// said is the gate's own word for a refusal: the role that is missing, an
// identity that does not fit.
func said(body string) string {
	var m struct{ Message string }
	if json.Unmarshal([]byte(body), &m) != nil || m.Message == "" {
		return ""
	}
	return ": " + m.Message
}

func hostChecks() []check {
	return []check{
		{"secrets' mode", "chmod 600 the file: it holds secrets", secretsMode},
		{"units", "systemctl enable --now the unit, and read journalctl -u of it", units},
		{"authsvc", "what stands after the part's name; journalctl -u gatehouse-authsvc has the error", insideAuthsvc},
		{
			"audit log",
			"access_log in nginx/gatehouse/http/log.conf; after a rotation nginx needs the reopen signal",
			auditLog,
		},
	}
}

var errNone = errors.New("no file matches")

func secretsMode(_ context.Context, g *gate) error {
	var files []string
	for glob := range strings.SplitSeq(g.env, ",") {
		found, err := filepath.Glob(glob)
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return fmt.Errorf("%w %s", errNone, g.env)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			return fmt.Errorf("%s has mode %04o, others may read it", f, mode)
		}
	}
	return nil
}

func units(ctx context.Context, g *gate) error {
	for unit := range strings.SplitSeq(g.units, ",") {
		out, err := exec.CommandContext(ctx, "systemctl", "is-active", unit).Output()
		if err != nil {
			return fmt.Errorf("%s is %q", unit, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// auditLog asks for something, and wants the log to grow by it.
func auditLog(ctx context.Context, g *gate) error {
	before, err := os.Stat(g.log)
	if err != nil {
		return err
	}
	if _, err := g.ask(ctx, http.MethodGet, "/mcp", "", nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, logFlush)
	defer cancel()
	tick := time.NewTicker(logLook)
	defer tick.Stop()
	for {
		now, err := os.Stat(g.log)
		if err != nil {
			return err
		}
		if now.Size() != before.Size() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s did not grow by a request within %v; it has %d bytes", g.log, logFlush, now.Size())
		}
	}
}
