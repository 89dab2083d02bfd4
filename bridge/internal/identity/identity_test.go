package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"gatehouse/internal/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuer is authsvc's key page.
type issuer struct {
	*httptest.Server
	signer *contract.Signer
	asked  atomic.Int64
}

func newIssuer(t *testing.T, kid string) *issuer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: string(jose.EdDSA), Use: "sig"}
	i := &issuer{}
	if i.signer, err = contract.NewSigner(key); err != nil {
		t.Fatal(err)
	}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	}))
	t.Cleanup(func() {
		i.Client().CloseIdleConnections()
		i.Close()
	})
	return i
}

func (i *issuer) sign(t *testing.T, user string) string {
	t.Helper()
	token, _, err := i.signer.Sign(
		contract.Identity{Subject: user, Expires: time.Now().Add(time.Hour)}, time.Now(), time.Minute,
	)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (i *issuer) keys() *Keys { return &Keys{URL: i.URL, Client: i.Client(), Log: zerolog.Nop()} }

func ask(t *testing.T, h http.Handler, token string) int {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.Header.Set(contract.HeaderAssertion, token)
	h.ServeHTTP(w, r)
	return w.Code
}

func TestAnUnknownKeyIsFetchedButNotForEveryForgery(t *testing.T) {
	i, stranger := newIssuer(t, "one"), newIssuer(t, "two")
	seen := ""
	h := NewVerifier(
		i.keys(),
	).Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = From(r.Context()).Subject }))
	if code := ask(t, h, i.sign(t, "alice")); code != http.StatusOK || seen != "alice" {
		t.Fatalf("status %d, subject %q", code, seen)
	}
	for range 50 { // whether a key is new is not known before the next fetch
		if code := ask(t, h, stranger.sign(t, "alice")); code != http.StatusServiceUnavailable {
			t.Fatalf("a stranger's assertion: status %d", code)
		}
		if code := ask(t, h, i.sign(t, "alice")); code != http.StatusOK {
			t.Fatalf("alice meanwhile: status %d", code)
		}
	}
	if n := i.asked.Load(); n > 2 {
		t.Errorf("50 forgeries fetched the keys %d times", n)
	}
}

// TestWhileKeysCannotBeFetchedNobodyIsToldOfAForgery: a caller with a 401 would
// drop a good token.
func TestWhileKeysCannotBeFetchedNobodyIsToldOfAForgery(t *testing.T) {
	i := newIssuer(t, "one")
	var away atomic.Bool
	away.Store(true)
	k := i.keys()
	k.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if away.Load() {
			return nil, errors.New("connection refused")
		}
		return i.Client().Transport.RoundTrip(r)
	})}
	h := NewVerifier(k).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, when := range []string{"the fetch fails", "it failed a moment ago"} {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.Header.Set(contract.HeaderAssertion, i.sign(t, "alice"))
		h.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", when, w.Code, w.Header().Get("Retry-After"))
		}
		if code := ask(t, h, "x.y.z"); code != http.StatusUnauthorized {
			t.Errorf("%s: what is no assertion: %d", when, code)
		}
	}
	away.Store(false)
	k.last = time.Time{}
	if code := ask(t, h, i.sign(t, "alice")); code != http.StatusOK {
		t.Errorf("once the keys are there: %d", code)
	}
	k.last = time.Time{}
	if code := ask(t, h, newIssuer(t, "two").sign(t, "alice")); code != http.StatusUnauthorized {
		t.Errorf("a stranger's assertion, by fresh keys: %d", code)
	}
}

// TestWhoWaitedForAFetchMakesNone: strangers with made-up keys, and an authsvc
// that is slow to fail, would make a long line else.
func TestWhoWaitedForAFetchMakesNone(t *testing.T) {
	var asked atomic.Int64
	begun, end := make(chan struct{}), make(chan struct{})
	k := &Keys{URL: "http://authsvc", Log: zerolog.Nop()}
	k.Client = &http.Client{Transport: roundTrip(
		func(*http.Request) (*http.Response, error) {
			if asked.Add(1) == 1 {
				k.last = time.Now().Add(-keysAtMost) // as if it took that long
				close(begun)
				<-end
			}
			return nil, errors.New("connection refused")
		})}
	var wg sync.WaitGroup
	wg.Go(func() { k.Refresh(t.Context()) })
	<-begun
	for range 8 {
		wg.Go(func() { k.Refresh(t.Context()) })
	}
	close(end)
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d fetches, want one", n)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhatIsRememberedIsBounded(t *testing.T) {
	v := NewVerifier(newIssuer(t, "one").keys())
	until := time.Now().Add(time.Hour)
	for n := range remembered {
		v.seen[fmt.Sprint(n)] = entry{&contract.Identity{}, until}
	}
	v.seen["old"] = entry{&contract.Identity{}, time.Now().Add(-time.Second)}
	v.clean(time.Now())
	if _, old := v.seen["old"]; old || len(v.seen) >= remembered {
		t.Errorf("%d are remembered", len(v.seen))
	}
}

func TestKeysOutliveAuthsvc(t *testing.T) {
	i := newIssuer(t, "one")
	k := i.keys()
	if k.Check(t.Context()) == nil {
		t.Error("ready without a key")
	}
	k.Refresh(t.Context())
	i.CloseClientConnections()
	i.Close()
	k.last = time.Time{}
	k.Refresh(t.Context())
	if err := k.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBlind: an authsvc that does not answer leaves what is open as it is for
// a while, and is told of once, and once when it is back.
func TestBlind(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var asked contract.EndedRequest
		_ = json.NewDecoder(r.Body).Decode(&asked)
		_ = json.NewEncoder(w).Encode(contract.EndedAnswer{Ended: asked.SIDs[:1]})
	}))
	defer s.Close()
	defer s.Client().CloseIdleConnections()
	var mu sync.Mutex
	var told []bool
	var over []string
	e := &Ended{
		URL: s.URL, Client: s.Client(), Log: zerolog.Nop(), last: time.Now(),
		SIDs:  func() []string { return []string{"a", "b"} },
		End:   func(sids []string) { mu.Lock(); defer mu.Unlock(); over = append(over, sids...) },
		Blind: func(b bool) { mu.Lock(); defer mu.Unlock(); told = append(told, b) },
	}
	once := func() { e.note(e.ask(context.Background())) }
	once()
	if e.Check(t.Context()) != nil || told != nil {
		t.Error("blind after one failure")
	}
	e.last = time.Now().Add(-endedMaxAge - time.Second)
	once()
	once()
	if e.Check(t.Context()) == nil || !slices.Equal(told, []bool{true}) {
		t.Errorf("not blind after %s: %v", endedMaxAge, told)
	}
	down.Store(false)
	once()
	if e.Check(t.Context()) != nil || !slices.Equal(told, []bool{true, false}) || !slices.Equal(over, []string{"a"}) {
		t.Errorf("after it is back: told %v, ended %v", told, over)
	}
}
