package provider

import (
	"net/http"
	"strconv"
	"time"
)

// Whether a token is older than a revocation is asked of two clocks: its iat is
// the issuer's, the revocation this one's. Within the leeway the issuer's may be
// ahead, and an older token then looks like a newer one. How far it is ahead is
// in the Date of its answers; where there is none (Keycloak itself sends none),
// a token tells that is younger than this clock. So who signs in anew after a
// revocation need not wait for the whole leeway.

// hear learns the issuer's clock from an answer, to the second that Date has.
func (p *Provider) hear(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return // what tokens have told stands
	}
	if age, err := strconv.Atoi(header.Get("Age")); err == nil { // from a cache in between (RFC 9111, 5.1)
		date = date.Add(time.Duration(age) * time.Second)
	}
	p.ahead.Store(int64(p.lead(date)))
}

// issued is the moment by this clock before which a token was not issued. One
// from the future says that its issuer's clock is not the one that was heard.
func (p *Provider) issued(iat time.Time) time.Time {
	if iat.After(p.cfg.Now()) {
		p.ahead.Store(max(p.ahead.Load(), int64(p.lead(iat))))
		return iat.Add(-p.cfg.Leeway)
	}
	return iat.Add(-time.Duration(p.ahead.Load()))
}

// lead is how far a clock that shows a time now may be ahead of this one.
func (p *Provider) lead(shows time.Time) time.Duration {
	ahead := shows.Sub(p.cfg.Now())
	if ahead <= 0 {
		return 0
	}
	return min(ahead+time.Second, p.cfg.Leeway)
}
