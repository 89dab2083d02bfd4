package provider

import (
	"net/http"
	"strconv"
	"time"
)

// Whether a token is older than a revocation is asked of two clocks: its iat is
// the issuer's, the revocation this one's. Within the leeway the issuer's may be
// ahead, and an older token then looks like a newer one. How far it is ahead is
// in the Date of its answers, so that who signs in anew after a revocation need
// not wait for the whole leeway.

// hear learns the issuer's clock from an answer, to the second that Date has.
func (p *Provider) hear(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		p.ahead.Store(int64(p.cfg.Leeway))
		return
	}
	if age, err := strconv.Atoi(header.Get("Age")); err == nil { // from a cache in between (RFC 9111, 5.1)
		date = date.Add(time.Duration(age) * time.Second)
	}
	ahead := date.Sub(p.cfg.Now())
	if ahead <= 0 {
		p.ahead.Store(0)
		return
	}
	p.ahead.Store(int64(min(ahead+time.Second, p.cfg.Leeway)))
}

// issued is the moment by this clock before which a token was not issued. One
// from the future says that its issuer's clock is not the one that was heard.
func (p *Provider) issued(iat time.Time) time.Time {
	if iat.After(p.cfg.Now()) {
		return iat.Add(-p.cfg.Leeway)
	}
	return iat.Add(-time.Duration(p.ahead.Load()))
}
