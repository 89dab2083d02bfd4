package edge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

// shipped is site/limits.conf as it is installed.
func shipped(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "nginx", "site", "limits.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A call that comes too early waits for its turn and is counted; only one that
// would wait longer than user_wait is refused. Nobody else waits with it.
func TestAnEarlyCallWaitsItsTurn(t *testing.T) {
	t.Parallel()
	g := start(
		t,
		options{
			limits: strings.Replace(limits(5, 2, 2), "user_wait = 0", "user_wait = 1", 1),
			auth: func(w http.ResponseWriter, r *http.Request) {
				allow(w, r)
				w.Header().Set("X-User-Id", r.Header.Get("Authorization"))
			},
		},
	)
	const atOnce = 12
	begun, sent, passed, late := time.Now(), 0, 0, 0
	// 3 at once and 5 that wait, of 12. On a slow machine 12 do not come at once.
	for end := begun.Add(wait); (late == 0 || sent == passed) && time.Now().Before(end); {
		var wg sync.WaitGroup
		statuses := make([]int, atOnce)
		for i := range statuses {
			wg.Go(func() {
				res, _ := g.do(t, "POST", "/mcp", "{}", "Authorization", bearer)
				statuses[i] = res.StatusCode
				if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
					t.Error("429 without Retry-After")
				}
			})
		}
		wg.Wait()
		sent += atOnce
		for _, status := range statuses {
			if status == http.StatusOK {
				passed++
			}
		}
		late = sent - strings.Count(string(g.lines(t, sent)), `"waited":0,`)
	}
	// One more for the clock of a worker, which stands still while it is busy.
	if most := 4 + 5*time.Since(begun).Seconds(); passed < 8 || float64(passed) > most {
		t.Errorf("%d of %d calls passed; want at least 8, and the rate lets %.1f", passed, sent, most)
	}
	if late == 0 || sent == passed {
		t.Errorf("of %d calls %d passed and %d waited", sent, passed, late)
	}
	if res, _ := g.do(t, "POST", "/mcp", "{}", "Authorization", "Bearer other"); res.Header.Get(
		"RateLimit-Remaining",
	) != "2" {
		t.Errorf("another user: %s, %s left", res.Status, res.Header.Get("RateLimit-Remaining"))
	}
	if log := string(g.lines(t, sent+1)); strings.Count(log, `"limit":"user"`) != sent-passed {
		t.Errorf("%d calls were refused, and the log says:\n%s", sent-passed, log)
	}
}

// The guide's check: thirty quick requests end in 429, whoever sends them. Those
// of a slow machine are not quick before their connections are open.
func TestThirtyQuickRequestsEndIn429(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: shipped(t)})
	var refused atomic.Int64
	for end := time.Now().Add(wait); refused.Load() == 0 && time.Now().Before(end); {
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				if res, _ := g.do(t, "GET", "/sse", "", "Authorization", bearer); res.StatusCode == http.StatusTooManyRequests {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
	}
	if refused.Load() == 0 {
		t.Error("no 429")
	}
}

// Eleven clients of one user start in the same moment, half of them of the years
// in which a client has a session and a stream, with the limits as they ship. No
// call is refused. Each comes from an address of its own: programs take moments to
// start, and these do not.
func TestElevenClientsOfOneUserStartAtOnce(t *testing.T) {
	t.Parallel()
	g := start(t, options{limits: shipped(t), addrs: []string{startDemo(t)}, values: stack.NginxValues{
		Proxies: "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Forwarded-For;\n",
	}})
	// On a slow machine they do not start at once: then none waited, and nothing was shown.
	for end := time.Now().Add(wait); ; {
		g.elevenStart(t)
		if g.waited(t) || t.Failed() {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no call had to wait its turn")
		}
	}
}

func (g *gate) elevenStart(t *testing.T) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 11 {
		client := &http.Client{Transport: from{fmt.Sprintf("198.51.100.%d", i), g.transport}}
		begin := startOfficial
		if i%2 == 1 {
			begin = startElder
		}
		wg.Go(func() {
			if err := begin(t.Context(), client, g.url); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// waited tells whether the log shows a call that waited its turn. It is written once
// a second; where it shows none for five, all calls of the user have come back.
func (g *gate) waited(t *testing.T) bool {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		log, err := os.ReadFile(filepath.Join(g.dir, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), `"waited":0.`) {
			return true
		}
	}
	return false
}

// startDemo is a bridge with the demo server, and no sign-in of its own.
func startDemo(t *testing.T) (addr string) {
	t.Helper()
	bin := t.TempDir()
	run(t, "go", "build", "-o", bin, filepath.Join("..", "..", "bridge"), filepath.Join("..", "..", "deploy", "demo"))
	addr = fmt.Sprintf("127.0.0.1:%d", freeport.Port(t))
	background(
		t,
		nil,
		filepath.Join(bin, "bridge"),
		"--listen="+addr,
		"--identity=none",
		"--max-user-sessions=100",
		"--",
		filepath.Join(bin, "demo"),
	)
	until(t, "the bridge is healthy", func() bool {
		res, err := http.Get("http://" + addr + "/health")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return addr
}

// from is a client at an address of its own, behind a proxy that is believed.
type from struct {
	address string
	next    http.RoundTripper
}

func (f from) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", bearer)
	r.Header.Set("X-Forwarded-For", f.address)
	return f.next.RoundTrip(r)
}

// startOfficial does what a desktop does with the SDK's client when it starts.
func startOfficial(ctx context.Context, client *http.Client, url string) error {
	session, err := mcp.NewClient(&mcp.Implementation{Name: "official", Version: "1"}, nil).
		Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url + "/mcp", HTTPClient: client}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()
	if _, err := session.ListTools(ctx, nil); err != nil {
		return err
	}
	_, err = session.CallTool(ctx, &mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": 1, "b": 2}})
	return err
}

// startElder is the same with a session, and the stream that goes with it.
func startElder(ctx context.Context, client *http.Client, url string) error {
	e := &elder{client: client, url: url}
	if err := e.open(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/mcp", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Mcp-Session-Id", e.session)
	req.Header.Set("Accept", "text/event-stream")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the stream: %s", res.Status)
	}
	e.add()
	return e.failed
}

// Who is refused again and again waits for each further refusal, and nobody else
// does. What is refused, and what is let in, stays the same.
func TestWhoGoesOnWaitsForHisRefusals(t *testing.T) {
	t.Parallel()
	const hold = time.Second
	g := start(t, options{
		limits: strings.Replace(limits(seldom, 0, 2), "refusal_wait = 0", "refusal_wait = 1", 1),
		auth: func(w http.ResponseWriter, r *http.Request) {
			allow(w, r)
			w.Header().Set("X-User-Id", r.Header.Get("Authorization"))
		},
	})
	ask := func(who string) (status int, took time.Duration) {
		begun := time.Now()
		res, _ := g.do(t, "POST", "/mcp", strings.Repeat("x", 100_000), "Authorization", "Bearer "+who)
		return res.StatusCode, time.Since(begun)
	}
	if status, _ := ask("mallory"); status != http.StatusOK {
		t.Fatalf("the first call: %d", status)
	}
	held := 0
	for n := range 40 { // a slow machine may let ten seconds pass in between
		status, took := ask("mallory")
		if status != http.StatusTooManyRequests {
			t.Fatalf("call %d: %d", n+2, status)
		}
		if took >= hold {
			held++
		}
		if held == 2 {
			break
		}
	}
	if held < 2 {
		t.Errorf("%d of 40 refusals waited", held)
	}
	if status, _ := ask("alice"); status != http.StatusOK {
		t.Errorf("somebody else: %d", status)
	}
}
