package bridge_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/contract"
)

// authority stands where authsvc's internal listener stands.
type authority struct {
	*httptest.Server
	mu     sync.Mutex
	key    jose.JSONWebKey
	signer *contract.Signer
	over   []string // logins that have ended
	said   int      // answers that told of such a login

	// credential answers for a caller and a name; nil for no such endpoint. asked
	// counts the questions.
	credential func(id contract.Identity, name string) (contract.CredentialAnswer, int)
	asked      int
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.rotate(t, "one")
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+contract.PathKeys, func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{a.key.Public()}})
	})
	mux.HandleFunc("POST "+contract.PathSessionsEnded, func(w http.ResponseWriter, r *http.Request) {
		var asked contract.EndedRequest
		_ = json.NewDecoder(r.Body).Decode(&asked)
		a.mu.Lock()
		defer a.mu.Unlock()
		ended := []string{}
		for _, sid := range asked.SIDs {
			if slices.Contains(a.over, sid) {
				ended = append(ended, sid)
			}
		}
		if len(ended) > 0 {
			a.said++
		}
		_ = json.NewEncoder(w).Encode(contract.EndedAnswer{Ended: ended})
	})
	mux.HandleFunc("POST "+contract.PathCredentials, a.lend)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) rotate(t *testing.T, id string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.key = jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(jose.EdDSA), Use: "sig"}
	if a.signer, err = contract.NewSigner(a.key); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) end(sid string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = append(a.over, sid)
}

// endsAtOnce wants a login to be over with the first answer that says so: the bridge
// asks every two seconds, so that is within the 5 s that are promised. A machine that
// is busy may come to the next question before it is done.
func (a *authority) endsAtOnce(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said < 1 || a.said > 2 {
		t.Errorf("the bridge was told %d times that the login has ended, want once", a.said)
	}
}

// header is the assertion of a user, whose login is sid and ends after a time.
func (a *authority) header(t *testing.T, user, sid string, life time.Duration) http.Header {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	id := contract.Identity{
		Subject:   user,
		Email:     user + "@example.com",
		Name:      user,
		SessionID: sid,
		Expires:   time.Now().Add(life),
	}
	now := time.Now()
	if life < 0 {
		now = now.Add(2 * life) // signed while the login was good
	}
	token, _, err := a.signer.Sign(id, now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{contract.HeaderAssertion: {token}}
}

func startSigned(t *testing.T, flags ...string) (*bridge, *authority) {
	t.Helper()
	a := newAuthority(t)
	return start(t, append([]string{"--identity", "signed", "--identity-keys", a.URL + contract.PathKeys}, flags...)...), a
}

// enter opens a session of a user.
func enter(t *testing.T, b *bridge, header http.Header) *client {
	t.Helper()
	c := newClient(t, b.base+"/mcp", header)
	eventually(t, "the session opens", func() bool { return c.post(initialize).Status == http.StatusOK })
	return c
}

func TestOnlyASignatureIsBelieved(t *testing.T) {
	b, a := startSigned(t)
	good := a.header(t, "alice", "s1", time.Hour)
	enter(t, b, good)
	token := good.Get(contract.HeaderAssertion)
	stranger := newAuthority(t).header(t, "alice", "s1", time.Hour)
	for name, header := range map[string]http.Header{
		"nothing":         {},
		"plain headers":   {"X-User-Id": {"alice"}, "X-User-Email": {"alice@example.com"}},
		"garbage":         {contract.HeaderAssertion: {"garbage"}},
		"cut":             {contract.HeaderAssertion: {token[:len(token)-4]}},
		"two":             {contract.HeaderAssertion: {token, token}},
		"a stranger's":    stranger,
		"of a past login": a.header(t, "alice", "s1", -time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, newClient(t, b.base+"/mcp", header).post(initialize), http.StatusUnauthorized, "no valid assertion")
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+"/sse", nil)
			req.Header = header
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("/sse answers %s", res.Status)
			}
		})
	}
}

func TestASessionIsItsOwnersAlone(t *testing.T) {
	b, a := startSigned(t)
	alice, bob := a.header(t, "alice", "s1", time.Hour), a.header(t, "bob", "s2", time.Hour)
	hers := enter(t, b, alice)
	if got := hers.says("user", "", 0); got != "alice" {
		t.Errorf("her child serves %q", got)
	}
	his := newClient(t, b.base+"/mcp", bob)
	his.id = hers.id
	refused(t, his.call("echo", "", 0), http.StatusNotFound, "no such session")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		res, err := http.DefaultClient.Do(his.request(t.Context(), method, ""))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s by another answers %s", method, res.Status)
		}
	}
	s := openSSE(t, b.base, "/sse", alice)
	posted := newClient(t, b.base+s.post, bob)
	refused(t, posted.post(initialize), http.StatusNotFound, "no such session")
}

func TestALogoutEndsWhatIsOpen(t *testing.T) {
	b, a := startSigned(t)
	c := enter(t, b, a.header(t, "alice", "s1", time.Hour))
	kept := enter(t, b, a.header(t, "bob", "s2", time.Hour))
	s := listen(t, c.request(t.Context(), http.MethodGet, ""))
	sse := openSSE(t, b.base, "/sse", a.header(t, "alice", "s1", time.Hour))
	a.end("s1")
	_ = readEvents(t, s)
	_ = readEvents(t, sse)
	a.endsAtOnce(t)
	refused(t, c.call("echo", "", 0), http.StatusNotFound, "no such session")
	if got := kept.says("echo", "kept", 0); got != "kept" {
		t.Errorf("another login answers %q", got)
	}
	eventually(t, "her children are gone", func() bool { return childrenOf(b.cmd.Process.Pid) == guardian+1 })
}

func TestAStreamEndsWithItsLogin(t *testing.T) {
	b, a := startSigned(t)
	eventually(t, "keys", func() bool {
		return newClient(t, b.base+"/mcp", a.header(t, "bob", "s2", time.Hour)).post(initialize).Status == http.StatusOK
	})
	sse := openSSE(t, b.base, "/sse", a.header(t, "alice", "s1", 2*time.Second))
	begin := time.Now()
	_ = readEvents(t, sse)
	if took := time.Since(begin); took > 7*time.Second {
		t.Errorf("the stream ended %s after its opening; the login had 2 s", took)
	}
}

func TestKeysAreRotatedAndKept(t *testing.T) {
	b, a := startSigned(t)
	c := enter(t, b, a.header(t, "alice", "s1", time.Hour))
	a.rotate(t, "two")
	c.header = a.header(t, "alice", "s1", time.Hour)
	eventually(t, "the new key is believed", func() bool { return c.call("echo", "", 0).Status == http.StatusOK })
	a.Close()
	c.header = a.header(t, "alice", "s1", time.Hour) // not seen before
	if got := c.says("echo", "still", 0); got != "still" {
		t.Errorf("without authsvc it answers %q", got)
	}
	if strings.Contains(b.log.String(), c.header.Get(contract.HeaderAssertion)) {
		t.Error("an assertion is in the log")
	}
}
