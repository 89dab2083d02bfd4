//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"gatehouse/internal/contract"
	"gatehouse/test/freeport"
	"gatehouse/test/stack"
)

const (
	partner      = "partner" // a second realm: the linked provider, and one of oauth
	partnerKnows = "the-gate-at-the-partner"
	labToken     = "llllllllllllllllllllllllllllllll"
)

// lab is an authsvc and a bridge of one test, with the gate's Keycloak, Redis
// and keys, and a stand-in for the API that the server posts to.
type lab struct {
	t                      *testing.T
	dir, auth, bridge, api string
	bridgePid              int
}

// poster says by whom a token was made for whom. What is entered is for the
// test to say; the others are tokens of Keycloak.
func posted(entered map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		said := map[string]any{"user": entered[token], "by": "itself"}
		if parts := strings.Split(token, "."); len(parts) == 3 {
			raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
			var c struct {
				Issuer   string `json:"iss"`
				User     string `json:"preferred_username"`
				Audience any    `json:"aud"`
			}
			_ = json.Unmarshal(raw, &c)
			said = map[string]any{"user": c.User, "by": filepath.Base(c.Issuer), "for": c.Audience}
		}
		_ = json.NewEncoder(w).Encode(said)
	}
}

func startLab(t *testing.T, entered map[string]string) *lab {
	t.Helper()
	if gate.Dir == "" {
		t.Skip("the gate is not this machine's")
	}
	api := httptest.NewServer(posted(entered))
	t.Cleanup(api.Close)
	l := &lab{t: t, dir: t.TempDir(), api: api.URL + "/api/chat.postMessage"}
	l.realms()
	bin := filepath.Join(repository(t), "bin")
	build := exec.Command("go", "build", "-o", filepath.Join(l.dir, "poster"), "./poster")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	auth, internal, bridge := freeport.Addr(t), freeport.Addr(t), freeport.Addr(t)
	l.auth, l.bridge = "http://"+auth, "http://"+bridge
	l.files()
	l.run("authsvc", filepath.Join(bin, "authsvc"), "--listen="+auth, "--internal-listen="+internal,
		"--public-url="+gate.URL, "--issuer="+gate.Issuer, "--client-id=mcp-gateway", "--require-role=mcp-user",
		"--client-secret-file="+filepath.Join(gate.Dir, "client-secret"),
		"--store-key-file="+filepath.Join(gate.Dir, "store-key"),
		fmt.Sprintf("--redis-url=redis://127.0.0.1:%d", gate.Ports.Redis), "--audit="+filepath.Join(l.dir, "authsvc-audit"),
		"--internal-token-file="+filepath.Join(l.dir, "tokens"), "--credentials="+filepath.Join(l.dir, "credentials.json"))
	l.await("http://" + internal + "/health/ready")
	l.bridgePid = l.run("bridge", filepath.Join(bin, "bridge"), "--listen="+bridge, "--identity=signed",
		"--identity-keys=http://"+internal+contract.PathKeys, "--authsvc-token-file="+filepath.Join(l.dir, "tokens"),
		"--config="+filepath.Join(l.dir, "mcp.json"), "--audit="+filepath.Join(l.dir, "bridge-audit"))
	l.await(l.bridge + "/health")
	return l
}

func (l *lab) run(name, program string, args ...string) int {
	l.t.Helper()
	log, err := os.Create(filepath.Join(l.dir, name+".log"))
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
		if l.t.Failed() {
			l.t.Logf("%s said:\n%s", name, l.file(name+".log"))
		}
	})
	return cmd.Process.Pid
}

func (l *lab) await(url string) {
	l.t.Helper()
	eventually(l.t, 30*time.Second, url, func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (l *lab) file(name string) string {
	text, _ := os.ReadFile(filepath.Join(l.dir, name))
	return string(text)
}

func (l *lab) write(name string, v any) {
	l.t.Helper()
	text, ok := v.(string)
	if !ok {
		raw, err := json.Marshal(v)
		if err != nil {
			l.t.Fatal(err)
		}
		text = string(raw)
	}
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// files are what an operator writes: four credentials, a server for each.
func (l *lab) files() {
	at := strings.Replace(gate.Issuer, stack.Realm, partner, 1) + "/protocol/openid-connect/"
	l.write("tokens", "lab "+labToken+"\n")
	l.write("partner-secret", partnerKnows)
	l.write("credentials.json", map[string]any{"credentials": []map[string]any{
		{"name": "slack", "kind": "entered", "label": "Slack"},
		{
			"name": "chat", "kind": "oauth", "label": "Chat",
			"authorize": at + "auth", "token": at + "token", "revoke": at + "revoke",
			"issuer": strings.Replace(gate.Issuer, stack.Realm, partner, 1), "client_id": "gate-oauth",
			"client_secret_file": filepath.Join(l.dir, "partner-secret"), "scopes": []string{"profile"},
		},
		{"name": "reports", "kind": "exchange", "audience": "reports-api", "scopes": []string{"reports"}},
		{"name": "partner", "kind": "linked", "provider": partner, "label": "Partner"},
	}})
	servers := map[string]any{}
	for name, credentials := range map[string]map[string]string{
		"entered": {"from": "slack", "file": "token"}, "oauth": {"from": "chat", "file": "token"},
		"exchange": {"from": "reports", "file": "token"}, "linked": {"from": "partner", "file": "token"},
		"environ": {"from": "slack", "env": "TOKEN"},
	} {
		servers[name] = map[string]any{
			"command": filepath.Join(l.dir, "poster"), "env": map[string]string{"API": l.api},
			"gatehouse": map[string]any{"credentials": credentials},
		}
	}
	l.write("mcp.json", map[string]any{"mcpServers": servers})
}

// realms lets the gate's realm exchange and broker, and makes the partner's.
func (l *lab) realms() {
	t := l.t
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	users := []map[string]any{}
	for _, name := range []string{stack.Alice, stack.Bob} {
		users = append(users, map[string]any{
			"username": name, "enabled": true, "email": name + "@partner.example", "emailVerified": true, "firstName": name,
			"lastName": "P", "credentials": []map[string]any{{"type": "password", "value": stack.Password(name)}},
		})
	}
	client := func(id string, redirect string) map[string]any {
		return map[string]any{
			"clientId": id, "secret": partnerKnows, "enabled": true, "standardFlowEnabled": true,
			"redirectUris": []string{redirect},
		}
	}
	must(gate.AdminServer(ctx, http.MethodPost, "/realms", map[string]any{
		"realm": partner, "enabled": true, "users": users, "sslRequired": "none",
		"clients": []map[string]any{
			client("gate-broker", gate.Issuer+"/broker/"+partner+"/endpoint"),
			client("gate-oauth", gate.URL+"/account/connect/chat/callback"),
		},
	}, nil))
	t.Cleanup(func() { _ = gate.AdminServer(ctx, http.MethodDelete, "/realms/"+partner, nil, nil) })
	issuer := strings.Replace(gate.Issuer, stack.Realm, partner, 1)
	at := issuer + "/protocol/openid-connect/"
	admin(t, http.MethodPost, "/identity-provider/instances", map[string]any{
		"alias": partner, "providerId": "oidc", "enabled": true, "storeToken": true, "trustEmail": true,
		"config": map[string]string{
			"clientId": "gate-broker", "clientSecret": partnerKnows, "clientAuthMethod": "client_secret_post", "issuer": issuer,
			"authorizationUrl": at + "auth", "tokenUrl": at + "token", "jwksUrl": at + "certs", "useJwksUrl": "true",
			"validateSignature": "true", "defaultScope": "openid profile",
		},
	}, nil)
	t.Cleanup(func() { _ = gate.Admin(ctx, http.MethodDelete, "/identity-provider/instances/"+partner, nil, nil) })
	changed(t, "mcp-gateway", map[string]string{"standard.token.exchange.enabled": "true"})
	admin(t, http.MethodPost, "/clients", map[string]any{"clientId": "reports-api", "enabled": true, "secret": "x"}, nil)
	api := idOf(t, "/clients?clientId=reports-api")
	t.Cleanup(func() { _ = gate.Admin(ctx, http.MethodDelete, "/clients/"+api, nil, nil) })
	admin(t, http.MethodPost, "/client-scopes", map[string]any{
		"name": "reports", "protocol": "openid-connect", "protocolMappers": []map[string]any{{
			"name": "reports-api", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
			"config": map[string]string{"included.client.audience": "reports-api", "access.token.claim": "true"},
		}},
	}, nil)
	var scopes []struct{ ID, Name string }
	admin(t, http.MethodGet, "/client-scopes", nil, &scopes)
	for _, scope := range scopes {
		if scope.Name == "reports" {
			t.Cleanup(func() { _ = gate.Admin(ctx, http.MethodDelete, "/client-scopes/"+scope.ID, nil, nil) })
			gateway := "/clients/" + idOf(t, "/clients?clientId=mcp-gateway")
			admin(t, http.MethodPut, gateway+"/optional-client-scopes/"+scope.ID, nil, nil)
		}
	}
	l.link(stack.Alice)
}

// link joins the person's account at the partner, and lets its token be read.
func (l *lab) link(name string) {
	t := l.t
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var found []struct{ ID string }
	err := gate.AdminServer(ctx, http.MethodGet, "/realms/"+partner+"/users?exact=true&username="+name, nil, &found)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s at the partner: %v, %v", name, found, err)
	}
	here := idOf(t, "/users?exact=true&username="+name)
	admin(t, http.MethodPost, "/users/"+here+"/federated-identity/"+partner,
		map[string]string{"identityProvider": partner, "userId": found[0].ID, "userName": name}, nil)
	broker := idOf(t, "/clients?clientId=broker")
	var role map[string]any
	admin(t, http.MethodGet, "/clients/"+broker+"/roles/read-token", nil, &role)
	admin(t, http.MethodPost, "/users/"+here+"/role-mappings/clients/"+broker, []any{role}, nil)
}

// browse follows redirects and fills in login forms until an address of the
// gate is reached, which it returns without asking it.
func (l *lab) browse(from, user string) *url.URL {
	l.t.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), gate.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := c.Get(from)
	for range 10 {
		if err != nil {
			l.t.Fatal(err)
		}
		body := read(l.t, res)
		if res.StatusCode/100 == 3 {
			to, err := res.Location()
			if err != nil {
				l.t.Fatal(err)
			}
			return to
		}
		action := formAction.FindStringSubmatch(body)
		if action == nil {
			l.t.Fatalf("no form at %s: %s: %s", res.Request.URL, res.Status, body)
		}
		res, err = c.PostForm(html.UnescapeString(action[1]),
			url.Values{"username": {user}, "password": {stack.Password(user)}})
	}
	l.t.Fatalf("no way back to the gate from %s", from)
	return nil
}

// ask is one request to this authsvc, as nginx passes it on.
func (l *lab) ask(method, path, cookie string, form url.Values, header ...string) *http.Response {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.auth+path, strings.NewReader(form.Encode()))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		l.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res
}

func cookiesOf(res *http.Response) string {
	var all []string
	for _, c := range res.Cookies() {
		if c.MaxAge >= 0 {
			all = append(all, c.Name+"="+c.Value)
		}
	}
	return strings.Join(all, "; ")
}

// signIn returns the session's cookie; more is added to what Keycloak is asked.
func (l *lab) signIn(user, more string) string {
	l.t.Helper()
	begun := l.ask(http.MethodGet, "/login?return_to=/account", "", nil)
	back := l.browse(begun.Header.Get("Location")+more, user)
	res := l.ask(http.MethodGet, back.RequestURI(), cookiesOf(begun), nil)
	for _, c := range res.Cookies() {
		if c.Name == "__Host-gatehouse" {
			return c.Name + "=" + c.Value
		}
	}
	l.t.Fatalf("%s: the callback answered %s", user, res.Status)
	return ""
}

// signed shows the bridge a fresh assertion with each request.
type signed struct {
	lab    *lab
	header []string // of the question to authsvc
	mu     sync.Mutex
}

func (s *signed) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	header := append([]string{contract.HeaderOriginalMethod, "POST", contract.HeaderOriginalURI, "/mcp"}, s.header...)
	res := s.lab.ask(http.MethodGet, "/auth", "", nil, header...)
	s.mu.Unlock()
	r = r.Clone(r.Context())
	r.Header.Set(contract.HeaderAssertion, res.Header.Get(contract.HeaderAssertion))
	return http.DefaultTransport.RoundTrip(r)
}

// open is a session with a server, for who shows this header to authsvc.
func (l *lab) open(server string, header ...string) (*mcp.ClientSession, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	c := mcp.NewClient(&mcp.Implementation{Name: "lab", Version: "1"}, nil)
	s, err := c.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:   l.bridge + "/servers/" + server + "/mcp",
		HTTPClient: &http.Client{Transport: &signed{lab: l, header: header}}, DisableStandaloneSSE: true,
	}, nil)
	if err == nil {
		l.t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// post is what the API says of who posted.
func (l *lab) post(s *mcp.ClientSession) (user, by string, audience any) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	result, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "post"})
	if err != nil {
		l.t.Error(err)
		return "", "", nil
	}
	text := result.Content[0].(*mcp.TextContent).Text
	var said struct {
		User, By string
		For      any
	}
	if err := json.Unmarshal([]byte(text), &said); err != nil || result.IsError {
		l.t.Errorf("the server says %s", text)
	}
	return said.User, said.By, said.For
}
