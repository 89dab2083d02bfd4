package contract_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatehouse/internal/contract"
)

var now = time.Unix(1_800_000_000, 0)

func newKey(t testing.TB, kid string) (jose.JSONWebKey, jose.JSONWebKeySet) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: string(jose.EdDSA), Use: "sig"}
	return key, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}
}

func alice() contract.Identity {
	return contract.Identity{
		Subject: "u-1", Email: "alice@example.com", Name: "Álice Ō'Hara",
		Roles: []string{"mcp-user"}, Scopes: []string{"openid", "mcp.access"},
		SessionID: "sid-1", Expires: now.Add(time.Hour),
	}
}

func TestAssertionRoundTrip(t *testing.T) {
	key, keys := newKey(t, "k1")
	signer, err := contract.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	token, expires, err := signer.Sign(alice(), now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if want := now.Add(time.Minute); !expires.Equal(want) {
		t.Errorf("expires = %v, want %v", expires, want)
	}
	got, until, err := contract.VerifyAssertion(token, keys, now.Add(30*time.Second), 0)
	if err != nil {
		t.Fatal(err)
	}
	got.Expires = got.Expires.UTC()
	want := alice()
	want.Expires = want.Expires.UTC()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("identity = %+v, want %+v", got, want)
	}
	if !until.Equal(expires) {
		t.Errorf("until = %v, want %v", until, expires)
	}
}

func TestAssertionNeverOutlivesTheSession(t *testing.T) {
	key, keys := newKey(t, "k1")
	signer, _ := contract.NewSigner(key)
	id := alice()
	id.Expires = now.Add(10 * time.Second)
	token, expires, err := signer.Sign(id, now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if !expires.Equal(id.Expires) {
		t.Errorf("expires = %v, want the session's end %v", expires, id.Expires)
	}
	if _, _, err := contract.VerifyAssertion(token, keys, id.Expires, 0); !errors.Is(err, contract.ErrAssertionExpired) {
		t.Errorf("at the session's end: err = %v, want ErrAssertionExpired", err)
	}
	if _, _, err := signer.Sign(id, id.Expires, time.Minute); !errors.Is(err, contract.ErrAssertionExpired) {
		t.Errorf("signing for an ended session: err = %v, want ErrAssertionExpired", err)
	}
}

func TestAssertionRefusals(t *testing.T) {
	key, keys := newKey(t, "k1")
	other, _ := newKey(t, "k1")
	signer, _ := contract.NewSigner(key)
	good, _, err := signer.Sign(alice(), now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(k jose.JSONWebKey, alg jose.SignatureAlgorithm, typ string, claims map[string]any) string {
		var signingKey any = k
		if alg == jose.HS256 {
			signingKey = jose.JSONWebKey{Key: []byte(k.Public().Key.(ed25519.PublicKey)), KeyID: k.KeyID}
		}
		s, err := jose.NewSigner(
			jose.SigningKey{Algorithm: alg, Key: signingKey},
			(&jose.SignerOptions{}).WithType(jose.ContentType(typ)),
		)
		if err != nil {
			t.Fatal(err)
		}
		out, err := jwt.Signed(s).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const typ = "gatehouse-assertion+jwt"
	claims := func(change func(map[string]any)) map[string]any {
		c := map[string]any{
			"iss": "authsvc", "aud": "bridge", "sub": "u-1",
			"iat": now.Unix(), "exp": now.Unix() + 60, "session_exp": now.Unix() + 60,
		}
		change(c)
		return c
	}
	same := func(map[string]any) {}
	set := func(name string, v any) func(map[string]any) { return func(c map[string]any) { c[name] = v } }
	drop := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	if _, _, err := contract.VerifyAssertion(sign(key, jose.EdDSA, typ, claims(same)), keys, now, 0); err != nil {
		t.Fatalf("the base case is refused: %v", err)
	}
	cases := map[string]struct {
		token string
		want  error
	}{
		"empty":              {"", contract.ErrAssertion},
		"garbage":            {"a.b.c", contract.ErrAssertion},
		"cut":                {good[:len(good)-4], contract.ErrAssertion},
		"alg none":           {"eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".", contract.ErrAssertion},
		"too long":           {good + strings.Repeat("A", contract.MaxAssertionBytes), contract.ErrAssertion},
		"other key same kid": {sign(other, jose.EdDSA, typ, claims(same)), contract.ErrAssertion},
		"unknown kid": {
			sign(jose.JSONWebKey{Key: key.Key, KeyID: "k9"}, jose.EdDSA, typ, claims(same)),
			contract.ErrUnknownKey,
		},
		"HS256, public key": {sign(key, jose.HS256, typ, claims(same)), contract.ErrAssertion},
		"plain JWT type":    {sign(key, jose.EdDSA, "JWT", claims(same)), contract.ErrAssertion},
		"wrong issuer":      {sign(key, jose.EdDSA, typ, claims(set("iss", "keycloak"))), contract.ErrAssertion},
		"wrong audience":    {sign(key, jose.EdDSA, typ, claims(set("aud", "nginx"))), contract.ErrAssertion},
		"no sub":            {sign(key, jose.EdDSA, typ, claims(drop("sub"))), contract.ErrAssertion},
		"no exp":            {sign(key, jose.EdDSA, typ, claims(drop("exp"))), contract.ErrAssertion},
		"no session_exp":    {sign(key, jose.EdDSA, typ, claims(drop("session_exp"))), contract.ErrAssertion},
		"expired":           {sign(key, jose.EdDSA, typ, claims(set("exp", now.Unix()-1))), contract.ErrAssertionExpired},
		"iat ahead":         {sign(key, jose.EdDSA, typ, claims(set("iat", now.Unix()+60))), contract.ErrAssertion},
		"an empty role":     {sign(key, jose.EdDSA, typ, claims(set("roles", []string{"a", ""}))), contract.ErrAssertion},
		"CRLF in email": {
			sign(key, jose.EdDSA, typ, claims(set("email", "a\r\nX-User-Roles: mcp-admin"))),
			contract.ErrAssertion,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			id, _, err := contract.VerifyAssertion(tc.token, keys, now, 0)
			if !errors.Is(err, tc.want) {
				t.Errorf("err = %v, want %v (identity %+v)", err, tc.want, id)
			}
		})
	}
}

func TestIdentityValidate(t *testing.T) {
	cases := map[string]func(*contract.Identity){
		"no subject":      func(id *contract.Identity) { id.Subject = "" },
		"long name":       func(id *contract.Identity) { id.Name = strings.Repeat("x", contract.MaxFieldBytes+1) },
		"newline in sid":  func(id *contract.Identity) { id.SessionID = "a\nb" },
		"empty role":      func(id *contract.Identity) { id.Roles = []string{""} },
		"space in scope":  func(id *contract.Identity) { id.Scopes = []string{"a b"} },
		"roles too long":  func(id *contract.Identity) { id.Roles = []string{strings.Repeat("a", contract.MaxPlainBytes)} },
		"scopes too long": func(id *contract.Identity) { id.Scopes = slices.Repeat([]string{strings.Repeat("a", 200)}, 40) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			id := alice()
			change(&id)
			if err := id.Validate(); !errors.Is(err, contract.ErrIdentity) {
				t.Errorf("err = %v, want ErrIdentity", err)
			}
		})
	}
	if err := alice().Validate(); err != nil {
		t.Errorf("a good identity is refused: %v", err)
	}
}

// Nothing of a list is cut, whatever its roles hold.
func TestRolesTravelWhole(t *testing.T) {
	key, keys := newKey(t, "k1")
	signer, err := contract.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	id := alice()
	id.Roles = []string{"a,b", "Domain Users", "/Engineering", "관리자", "100%", `quoted "x" \`, "tab\t", "\x00", "\u0085"}
	for i := range 200 {
		id.Roles = append(id.Roles, fmt.Sprintf("aa-%d", i))
	}
	if err := id.Fits(); err != nil {
		t.Fatal(err)
	}
	header := contract.EncodeRoles(id.Roles)
	if strings.ContainsFunc(header, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		t.Errorf("the header holds a byte that is not plain: %q", header)
	}
	if back, err := contract.DecodeRoles(header); err != nil || !slices.Equal(back, id.Roles) {
		t.Errorf("%q came back as %q, %v", id.Roles, back, err)
	}
	token, _, err := signer.Sign(id, now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := contract.VerifyAssertion(token, keys, now, 0); err != nil || !slices.Equal(got.Roles, id.Roles) {
		t.Errorf("the assertion has %q, %v", got.Roles, err)
	}
	for _, bad := range []string{",", "a,", "a,,b", "%", "%zz"} {
		if _, err := contract.DecodeRoles(bad); !errors.Is(err, contract.ErrIdentity) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What Fits lets pass, Sign signs, and what it refuses would not have fitted.
func TestFitsAgreesWithSign(t *testing.T) {
	key, _ := newKey(t, "k1")
	signer, err := contract.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	id := alice()
	for n := 0; id.Fits() == nil; n++ {
		if _, _, err := signer.Sign(id, now, time.Minute); err != nil {
			t.Fatalf("%d roles fit, and: %v", n, err)
		}
		id.Roles = append(id.Roles, fmt.Sprintf("%060d<&>", n))
	}
	if n := len(id.Roles); n < 40 {
		t.Errorf("only %d roles of 63 bytes fit", n)
	}
	if err := id.Fits(); !errors.Is(err, contract.ErrIdentity) || !strings.Contains(err.Error(), "--roles") {
		t.Errorf("err = %v, want the way out", err)
	}
}

func TestEndedMessages(t *testing.T) {
	if m, err := contract.ReadEndedRequest(strings.NewReader(`{"sids":["a","b"]}`)); err != nil ||
		!reflect.DeepEqual(m.SIDs, []string{"a", "b"}) {
		t.Errorf("request = %+v, %v", m, err)
	}
	if m, err := contract.ReadEndedAnswer(strings.NewReader(`{"ended":[]}`)); err != nil || len(m.Ended) != 0 {
		t.Errorf("answer = %+v, %v", m, err)
	}
	many := `{"sids":["a"` + strings.Repeat(`,"a"`, contract.MaxEndedSIDs) + `]}`
	for _, bad := range []string{``, `[]`, `{"sids":[""]}`, `{"sids":["a\n"]}`, `{"sids":[1]}`, many} {
		if _, err := contract.ReadEndedRequest(strings.NewReader(bad)); !errors.Is(err, contract.ErrEnded) {
			t.Errorf("%.40q: err = %v, want ErrEnded", bad, err)
		}
	}
}

func FuzzVerifyAssertion(f *testing.F) {
	key, keys := newKey(f, "k1")
	signer, _ := contract.NewSigner(key)
	good, _, _ := signer.Sign(alice(), now, time.Minute)
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		id, _, err := contract.VerifyAssertion(token, keys, now, 0)
		if err == nil && id.Validate() != nil {
			t.Errorf("an identity that cannot travel was accepted: %+v", id)
		}
		if err == nil && token != good {
			t.Errorf("accepted a token that was never signed: %q", token)
		}
	})
}

func FuzzReadEndedRequest(f *testing.F) {
	f.Add(`{"sids":["a"]}`)
	f.Fuzz(func(t *testing.T, body string) {
		m, err := contract.ReadEndedRequest(strings.NewReader(body))
		if err == nil && len(m.SIDs) > contract.MaxEndedSIDs {
			t.Errorf("%d sids passed", len(m.SIDs))
		}
	})
}
