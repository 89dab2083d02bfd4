package check

import (
	"net/http"
	"net/textproto"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/authsvc/internal/resource"
	"gatehouse/authsvc/internal/session"
	"gatehouse/internal/contract"
)

// verdict is a remembered yes. It is never changed after it was made.
type verdict struct {
	id     contract.Identity
	values [headers]string // of headerNames
	until  time.Time       // when its session or token must be looked at again
	stale  time.Time       // when its assertion must be made anew

	tokenEnd time.Time // of a browser's session: of the access token that it holds

	// Of a token only.
	ofToken    bool
	noted      bool // whoever ends all of its user's knows of its session
	reach      resource.Reach
	party      string // the client
	issued     time.Time
	thumbprint string // of the key that each request must prove (RFC 9449)
	generation uint64 // of the key set that verified it
}

func (v *verdict) freshAt(now time.Time) bool { return now.Before(v.until) && now.Before(v.stale) }

// mayRemember lets nginx keep a verdict for as long as this process would,
// where the assertion outlives that. A verdict that hangs on a proof is only
// good for its one request, and one that opens some servers alone for theirs.
var mayRemember = "private, max-age=" + strconv.Itoa(int(session.Recheck.Seconds()))

// Indices of the headers of a yes. An array takes a quarter of a map's memory.
const (
	valueUserID = iota
	valueEmail
	valueName
	valueRoles
	valueScopes
	valueAssertion
	valueLength
	valueCaching
	headers
)

// headerNames are canonical, so that the hot path writes to the map directly.
var headerNames = [headers]string{
	textproto.CanonicalMIMEHeaderKey(contract.HeaderUserID),
	textproto.CanonicalMIMEHeaderKey(contract.HeaderUserEmail),
	textproto.CanonicalMIMEHeaderKey(contract.HeaderUserName),
	textproto.CanonicalMIMEHeaderKey(contract.HeaderUserRoles),
	textproto.CanonicalMIMEHeaderKey(contract.HeaderUserScopes),
	textproto.CanonicalMIMEHeaderKey(contract.HeaderAssertion),
	"Content-Length",
	"Cache-Control",
}

// send writes the values into a header. They are shared between answers, and
// full slices, so that nobody can append to them.
func (v *verdict) send(header http.Header) {
	for i, name := range headerNames {
		if i != valueCaching || v.values[i] != "" {
			header[name] = v.values[i : i+1 : i+1]
		}
	}
}

// seal makes the verdict's headers. The assertion of the verdict before it is
// used again while it is young and says the same.
func (h *Handler) seal(v, before *verdict, now time.Time) error {
	if before != nil && now.Before(before.stale) && reflect.DeepEqual(before.id, v.id) {
		v.values, v.stale = before.values, before.stale
		v.id = before.id // the same, and kept once
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
	v.values = [headers]string{
		valueUserID: v.id.Subject, valueEmail: v.id.Email, valueName: v.id.Name,
		valueRoles: contract.EncodeRoles(v.id.Roles), valueScopes: strings.Join(v.id.Scopes, " "),
		valueAssertion: assertion, valueLength: "0",
	}
	if v.thumbprint == "" && (v.reach.Gate || !v.ofToken) && expires.Sub(v.stale) >= session.Recheck {
		v.values[valueCaching] = mayRemember
	}
	return nil
}
