package check

import (
	"net/http"
	"net/textproto"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

// verdict is a remembered yes. It is never changed after it was made.
type verdict struct {
	id     contract.Identity
	header http.Header // canonical names, values ready to send
	until  time.Time   // when its session or token must be looked at again
	stale  time.Time   // when its assertion must be made anew

	// Of a token only.
	issued     time.Time
	thumbprint string // of the key that each request must prove (RFC 9449)
	generation uint64 // of the key set that verified it
}

func (v *verdict) freshAt(now time.Time) bool { return now.Before(v.until) && now.Before(v.stale) }

// mayRemember lets nginx keep a verdict for as long as this process would,
// where the assertion outlives that. A verdict that hangs on a proof is only
// good for its one request.
var mayRemember = "private, max-age=" + strconv.Itoa(int(session.Recheck.Seconds()))

// Canonical header names, so that the hot path writes to the map directly.
var (
	nameUserID    = textproto.CanonicalMIMEHeaderKey(contract.HeaderUserID)
	nameEmail     = textproto.CanonicalMIMEHeaderKey(contract.HeaderUserEmail)
	nameName      = textproto.CanonicalMIMEHeaderKey(contract.HeaderUserName)
	nameRoles     = textproto.CanonicalMIMEHeaderKey(contract.HeaderUserRoles)
	nameScopes    = textproto.CanonicalMIMEHeaderKey(contract.HeaderUserScopes)
	nameAssertion = textproto.CanonicalMIMEHeaderKey(contract.HeaderAssertion)
)

// seal makes the verdict's headers. The assertion of the verdict before it is
// used again while it is young and says the same.
func (h *Handler) seal(v, before *verdict, now time.Time) error {
	if before != nil && now.Before(before.stale) && reflect.DeepEqual(before.id, v.id) {
		v.header, v.stale = before.header, before.stale
		return nil
	}
	assertion, expires, err := h.Signer.Sign(v.id)
	if err != nil {
		return err
	}
	v.stale = now.Add(contract.AssertionReuse)
	if expires.Before(v.stale) {
		v.stale = expires
	}
	v.header = http.Header{
		nameUserID:       {v.id.Subject},
		nameEmail:        {v.id.Email},
		nameName:         {v.id.Name},
		nameRoles:        {strings.Join(v.id.Roles, ",")},
		nameScopes:       {strings.Join(v.id.Scopes, " ")},
		nameAssertion:    {assertion},
		"Content-Length": {"0"},
	}
	if v.thumbprint == "" && expires.Sub(v.stale) >= session.Recheck {
		v.header["Cache-Control"] = []string{mayRemember}
	}
	return nil
}
