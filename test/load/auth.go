package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"gatehouse/test/issuer"
	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/front"
	"gatehouse/test/load/internal/measure"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
)

const (
	rowFloor  = "floor: auth_request to a bare 200"
	authIntro = "## Part two: authsvc behind nginx\n\nnginx with TLS 1.3, keepalive, two workers, " +
		"an upstream that answers `ok`. " +
		"The sign-in is a real one, against a provider in the load program that makes tokens as Keycloak does (RS256). " +
		"Each authoriser is a process of its own, the floor's bare handler too, and credentials end at nginx. " +
		"The ratio is to the floor. CPU is of nginx, the authoriser and Redis; at the largest number of connections.\n\n"
	loginWorkers = 8
)

// gates are the programs of part two.
type gates struct {
	issuer                                       *issuer.Issuer
	redis, limit, floor, authsvc, foreign, nginx *proc.Proc
	internal                                     string // authsvc's own listener
	url                                          string
	tls                                          *tls.Config
	remember                                     int // verdicts of authsvc; 0 is its default
}

func partAuth(ctx context.Context, b *bench) error {
	idp, err := issuer.Start(ctx)
	if err != nil {
		return err
	}
	defer idp.Close()
	g := &gates{
		issuer: idp,
		tls:    &tls.Config{InsecureSkipVerify: true},
	} //nolint:gosec // a certificate of this run, on loopback
	if err := b.startGates(ctx, g, nil); err != nil {
		return err
	}
	cells, err := g.cells(ctx)
	if err != nil {
		return err
	}
	measure.Run(cells, b.rounds, b.window, progress)
	table := report.Table{Title: "Requests through nginx", Mode: caller.Plain, Base: rowFloor, Cells: cells}
	text := authIntro + report.Made(b.command) + table.Markdown() + "\n"
	line, err := g.live(ctx, b.sessions)
	if err != nil {
		return fmt.Errorf("live sessions: %w", err)
	}
	text += line + report.Faults(cells)
	fmt.Print(text)
	return report.Write(b.out, "part two", text)
}

// startGates starts all but nginx, asks sites (which may be nil) what else
// nginx serves, and starts nginx.
func (b *bench) startGates(ctx context.Context, g *gates, sites func() ([]front.Site, error)) error {
	addr, err := proc.FreeAddr()
	if err != nil {
		return err
	}
	if g.internal, err = proc.FreeAddr(); err != nil {
		return err
	}
	g.url, g.issuer.Audience = "https://"+addr, "https://"+addr+"/mcp"
	start := func(into **proc.Proc, name string, argv ...string) {
		if err == nil {
			*into, err = b.start(ctx, name, argv)
		}
	}
	start(&g.redis, "redis", "redis-server", "--bind", "127.0.0.1", "--port", "%PORT%", "--save", "", "--dir", b.dir)
	start(&g.limit, rowLimit, filepath.Join(b.tools, "limit"), "-listen", "%ADDR%", b.child())
	start(&g.floor, "floor", filepath.Join(b.tools, "limit"), "-listen", "%ADDR%", b.child())
	if err != nil {
		return err
	}
	start(
		&g.authsvc,
		"authsvc",
		filepath.Join(b.bin, "authsvc"),
		"--listen",
		"%ADDR%",
		"--internal-listen",
		g.internal,
		"--public-url",
		g.url,
		"--issuer",
		g.issuer.URL,
		"--client-id",
		issuer.Client,
		"--client-secret",
		issuer.Secret,
		"--redis-url",
		"redis://"+g.redis.Addr,
		"--allow-any-user",
		"--log-level",
		"warn",
		"--store-key",
		strings.Repeat("k", 32),
		"--remember",
		strconv.Itoa(cmp.Or(g.remember, 4000)),
	)
	start(
		&g.foreign,
		"oauth2-proxy",
		filepath.Join(b.tools, "oauth2-proxy"),
		"--http-address",
		"%ADDR%",
		"--provider",
		"oidc",
		"--oidc-issuer-url",
		g.issuer.URL,
		"--client-id",
		issuer.Client,
		"--client-secret",
		issuer.Secret,
		"--cookie-secret",
		strings.Repeat("x", 32),
		"--session-store-type",
		"redis",
		"--redis-connection-url",
		"redis://"+g.redis.Addr,
		"--upstream",
		"static://202",
		"--reverse-proxy",
		"--email-domain",
		"*",
		"--skip-jwt-bearer-tokens",
		"--set-xauthrequest",
		"--redirect-url",
		g.url+"/oauth2/callback",
		"--skip-provider-button",
		"--code-challenge-method",
		"S256",
		"--request-logging=false",
		"--auth-logging=false",
		"--standard-logging=false",
	)
	if err != nil {
		return err
	}
	v := front.Values{
		Dir:     b.dir,
		Addr:    addr,
		Limit:   g.limit.Addr,
		Floor:   g.floor.Addr,
		Authsvc: g.authsvc.Addr,
		Foreign: g.foreign.Addr,
	}
	if sites != nil {
		if v.Sites, err = sites(); err != nil {
			return err
		}
	}
	conf, err := front.Write(v)
	if err != nil {
		return err
	}
	g.nginx, err = b.startAt(ctx, "nginx", addr, []string{"nginx", "-e", b.dir + "/error.log", "-p", b.dir, "-c", conf})
	return err
}

func (g *gates) cells(ctx context.Context) ([]*measure.Cell, error) {
	token, err := g.issuer.Access()
	if err != nil {
		return nil, err
	}
	own, err := g.login(ctx, g.client(), "/login?return_to=/open")
	if err != nil {
		return nil, fmt.Errorf("sign-in at authsvc: %w", err)
	}
	foreign, err := g.login(ctx, g.client(), "/oauth2/start?rd=/open")
	if err != nil {
		return nil, fmt.Errorf("sign-in at oauth2-proxy: %w", err)
	}
	bearer := map[string]string{"Authorization": "Bearer " + token}
	var cells []*measure.Cell
	add := func(name, path string, header map[string]string, procs ...*proc.Proc) {
		to := func(int) wire.Target { return wire.Target{Addr: g.nginx.Addr, TLS: g.tls, Header: header} }
		for _, n := range []int{1, 16, 64} {
			cells = append(
				cells,
				&measure.Cell{Target: name, Mode: caller.Plain, N: n, Wire: to, Prefix: path, Procs: append(procs, g.nginx)},
			)
		}
	}
	add("no auth", "/open", nil)
	add(rowFloor, "/floor", nil, g.floor)
	add("authsvc, cookie (Redis)", "/gate", map[string]string{"Cookie": own}, g.authsvc, g.redis)
	add("authsvc, Bearer", "/gate", bearer, g.authsvc, g.redis)
	add("oauth2-proxy 7.15.4, cookie (Redis)", "/other", map[string]string{"Cookie": foreign}, g.foreign, g.redis)
	add("oauth2-proxy 7.15.4, Bearer", "/other", bearer, g.foreign, g.redis)
	return cells, nil
}

func (g *gates) client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: g.tls, MaxIdleConnsPerHost: 4}}
}

// login goes the way of a browser and returns the Cookie header that it ends with.
func (g *gates) login(ctx context.Context, c *http.Client, path string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	c.Jar = jar
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if string(body) != "ok" {
		return "", fmt.Errorf("%s ended at %s with %d %.200q", path, resp.Request.URL.Path, resp.StatusCode, body)
	}
	at, err := url.Parse(g.url)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, cookie := range jar.Cookies(at) {
		parts = append(parts, cookie.Name+"="+cookie.Value)
	}
	return strings.Join(parts, "; "), nil
}

// live signs many in, uses each session once, and weighs authsvc.
func (g *gates) live(ctx context.Context, n int) (string, error) {
	errs := make([]error, loginWorkers)
	var wg sync.WaitGroup
	for w := range loginWorkers {
		wg.Go(func() {
			c := g.client()
			for i := w; i < n && errs[w] == nil; i += loginWorkers {
				errs[w] = g.visit(ctx, c)
			}
			c.CloseIdleConnections()
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return "", err
		}
	}
	kb, err := proc.Resident(g.authsvc)
	return fmt.Sprintf(
		"authsvc's RSS with %d live sessions, each signed in and used in this run: %.1f MB.\n\n",
		n,
		float64(kb)/1024,
	), err
}

func (g *gates) visit(ctx context.Context, c *http.Client) error {
	cookie, err := g.login(ctx, c, "/login?return_to=/open")
	if err != nil {
		return err
	}
	conn := wire.New(
		wire.Target{Addr: g.nginx.Addr, TLS: g.tls, Header: map[string]string{"Cookie": cookie}},
		caller.Timeout,
	)
	defer conn.Close()
	resp, err := conn.Do("GET", "/gate", "", nil)
	if err == nil && resp.Status != http.StatusOK {
		return fmt.Errorf("a session just made was answered %d", resp.Status)
	}
	return err
}
