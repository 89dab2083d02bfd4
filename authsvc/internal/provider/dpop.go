package provider

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const proofMaxAge = time.Minute

// Proof is what a DPoP proof must show (RFC 9449, 4.3).
type Proof struct {
	Method, URL string // of the request, URL without query and fragment
	Token       string // the access token it comes with
	Thumbprint  string // cnf.jkt of that token
}

// VerifyProof checks a proof and returns its id, and until when the caller
// must remember that id to refuse a replay.
func (p *Provider) VerifyProof(raw string, want Proof) (id string, until time.Time, err error) {
	fail := func(why string) (string, time.Time, error) {
		return "", time.Time{}, fmt.Errorf("%w: DPoP proof: %s", ErrToken, why)
	}
	if len(raw) > MaxTokenBytes {
		return fail("too long")
	}
	jws, err := jose.ParseSignedCompact(raw, Algorithms())
	if err != nil {
		return fail("not a JWT signed with an allowed algorithm")
	}
	head := jws.Signatures[0].Protected
	key := head.JSONWebKey
	if head.ExtraHeaders[jose.HeaderType] != "dpop+jwt" || key == nil || !key.Valid() || !key.IsPublic() {
		return fail("wrong type, or no public key")
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return fail("wrong signature")
	}
	print, err := key.Thumbprint(crypto.SHA256)
	if err != nil || !same(base64.RawURLEncoding.EncodeToString(print), want.Thumbprint) {
		return fail("made with another key than the token's")
	}
	var c struct {
		ID       string           `json:"jti"`
		Method   string           `json:"htm"`
		URL      string           `json:"htu"`
		IssuedAt *jwt.NumericDate `json:"iat"`
		Hash     string           `json:"ath"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return fail("not claims")
	}
	sum := sha256.Sum256([]byte(want.Token))
	now := p.cfg.Now()
	switch {
	case c.ID == "" || len(c.ID) > 256 || c.IssuedAt == nil:
		return fail("jti or iat is missing")
	case c.Method != want.Method || c.URL != want.URL:
		return fail("made for another request")
	case !same(c.Hash, base64.RawURLEncoding.EncodeToString(sum[:])):
		return fail("made for another token")
	case c.IssuedAt.Time().After(now.Add(p.cfg.Leeway)), p.expired(c.IssuedAt.Time().Add(proofMaxAge)):
		return fail("too old, or from the future")
	}
	return c.ID, c.IssuedAt.Time().Add(proofMaxAge + p.cfg.Leeway), nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
