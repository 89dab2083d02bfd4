package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

func TestMain(m *testing.M) {
	if os.Getenv(programMode) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

const patience = 30 * time.Second

const testStoreKey = "of the store alone, and longer than 32 bytes"

// gate is one running authsvc and a client for each of its listeners.
type gate struct {
	t        *testing.T
	svc      *service
	public   *http.Client
	internal *http.Client
	log      *lines
	stop     func() // as SIGTERM would; also at the test's end
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs the whole program on two sockets until the test ends.
func start(t *testing.T, issuer *issuertest.Issuer, redisURL string, change ...func(*config)) *gate {
	t.Helper()
	log := &lines{}
	g := startWith(t, zerolog.New(log), issuer, redisURL, change...)
	g.log = log
	return g
}

func startWith(
	t *testing.T,
	log zerolog.Logger,
	issuer *issuertest.Issuer,
	redisURL string,
	change ...func(*config),
) *gate {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config{
		Identity: identityFlags{Provider: "keycloak"}, AllowAnyUser: true,
		Listen: "unix:" + filepath.Join(dir, "p"), InternalListen: "unix:" + filepath.Join(dir, "i"),
		PublicURL: issuertest.Public, Issuer: issuer.URL, ClientID: issuertest.Client,
		ClientSecret: issuertest.Secret, StoreKey: testStoreKey,
		LoginScopes: []string{"openid"}, Scopes: []string{"mcp.access"}, Leeway: time.Second, RedisURL: redisURL,
		SessionAge: time.Hour, SessionIdle: time.Hour, RefreshGrace: time.Minute,
		TokenAge: time.Hour, Remember: 1000, Drain: time.Second,
	}
	for _, c := range change {
		c(&cfg)
	}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	svc, err := newService(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.serve(ctx) }()
	g := &gate{t: t, svc: svc, public: socketClient(cfg.Listen), internal: socketClient(cfg.InternalListen)}
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		g.public.CloseIdleConnections()
		g.internal.CloseIdleConnections()
		_ = os.RemoveAll(dir)
	})
	t.Cleanup(g.stop)
	return g
}

func socketClient(addr string) *http.Client {
	path := strings.TrimPrefix(addr, "unix:")
	return &http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 200,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", path)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > patience {
			t.Fatalf("%s: not within %s", what, patience)
		}
		<-time.After(10 * time.Millisecond)
	}
	return time.Since(begin)
}

func (g *gate) ready() *gate {
	g.t.Helper()
	eventually(g.t, "ready", func() bool {
		res, err := g.internal.Get("http://x/health/ready")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return g
}

// do sends one request; header holds name and value in turn.
func (g *gate) do(client *http.Client, method, path, body string, header ...string) *http.Response {
	g.t.Helper()
	req, err := http.NewRequest(method, "http://gate.example.com"+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	res.Body = io.NopCloser(strings.NewReader(string(text)))
	return res
}

func (g *gate) auth(header ...string) *http.Response {
	g.t.Helper()
	header = append(header, contract.HeaderOriginalMethod, "POST", contract.HeaderOriginalURI, "/mcp")
	return g.do(g.public, http.MethodGet, "/auth", "", header...)
}

// create makes a session and returns its cookie. Where the machine kept Redis
// waiting too long it tries again, as a browser's user does.
func (g *gate) create(grant session.Grant, browser session.Browser) (cookie string, tries int) {
	g.t.Helper()
	for begin := time.Now(); ; <-time.After(50 * time.Millisecond) {
		tries++
		secret, _, err := g.svc.sessions.Create(g.t.Context(), grant, browser)
		if err == nil {
			return session.CookieName + "=" + secret.Encode(), tries
		}
		if !errors.Is(err, session.ErrUnavailable) || time.Since(begin) > patience {
			g.t.Error(err)
			return "", tries
		}
	}
}

// verdict is the status that nginx would rebuild.
func verdict(res *http.Response) string {
	if s := res.Header.Get(contract.HeaderAuthStatus); s != "" {
		return s
	}
	return fmt.Sprint(res.StatusCode)
}

func (g *gate) wantVerdict(want string, header ...string) *http.Response {
	g.t.Helper()
	res := g.auth(header...)
	if got := verdict(res); got != want {
		g.t.Errorf("verdict %s, want %s", got, want)
	}
	if res.ContentLength != 0 {
		g.t.Errorf("Content-Length %d, want 0", res.ContentLength)
	}
	return res
}

func cookieOf(res *http.Response, name string) string {
	for _, c := range res.Cookies() {
		if c.Name == name {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

// loginCookie is that of a login which an answer begins.
func loginCookie(res *http.Response) string {
	for _, c := range res.Cookies() {
		if strings.HasPrefix(c.Name, "__Host-gatehouse-login-") && c.MaxAge > 0 {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

// begin starts a login and returns the browser's cookie and the parameters
// that went to the provider.
func (g *gate) begin(returnTo string, header ...string) (cookie string, q url.Values) {
	g.t.Helper()
	res := g.do(g.public, http.MethodGet, "/login?return_to="+returnTo, "", header...)
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusFound {
		g.t.Fatalf("login answered %d to %v", res.StatusCode, u)
	}
	return loginCookie(res), u.Query()
}

func answer(issuer *issuertest.Issuer, state string) string {
	return "/callback?" + url.Values{"code": {"good"}, "state": {state}, "iss": {issuer.URL}}.Encode()
}

// login signs a browser in and returns its session cookie.
func (g *gate) login(issuer *issuertest.Issuer, header ...string) string {
	g.t.Helper()
	browser, q := g.begin("/mcp?x=1&y=2")
	issuer.Expect(q.Get("nonce"))
	res := g.do(g.public, http.MethodGet, answer(issuer, q.Get("state")), "", append(header, "Cookie", browser)...)
	cookie := cookieOf(res, session.CookieName)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/mcp?x=1&y=2" || cookie == "" {
		body, _ := io.ReadAll(res.Body)
		g.t.Fatalf(
			"callback answered %d, Location %q, cookie %q: %s",
			res.StatusCode,
			res.Header.Get("Location"),
			cookie,
			body,
		)
	}
	return cookie
}

// identity verifies the assertion of an answer as the bridge would.
func (g *gate) identity(res *http.Response) contract.Identity {
	g.t.Helper()
	keys, err := g.svc.keys.Public()
	if err != nil {
		g.t.Fatal(err)
	}
	id, _, err := contract.VerifyAssertion(res.Header.Get(contract.HeaderAssertion), keys, time.Now(), 0)
	if err != nil {
		g.t.Fatalf("assertion: %v", err)
	}
	return id
}
