package check

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/authsvc/internal/provider"
	"gatehouse/authsvc/internal/resource"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
)

// denial is why nobody is let in.
type denial int

const (
	denyNothing     denial = iota // neither cookie nor token
	denyCookie                    // a cookie that opens no session
	denyToken                     // a token that is not good
	denyProof                     // a token that is bound to a key, and no good proof of it
	denyScope                     // signed in, the token lacks a scope
	denyRole                      // signed in, the user lacks the role
	denyUnavailable               // nobody can tell now
	denials
)

var denialNames = [denials]string{"none", "cookie", "token", "proof", "scope", "role", "unavailable"}

const retryAfter = "2"

// challenge names the resource that was asked for. Who tried DPoP is told of
// that scheme and its algorithms (RFC 9449, 7.1).
func (h *Handler) challenge(scheme, errorCode, originalURI string) string {
	text := h.Rules.Challenge(scheme, errorCode, resource.Of(originalURI))
	if scheme != schemeDPoP {
		return text
	}
	algs := make([]string, 0, len(provider.Algorithms()))
	for _, alg := range provider.Algorithms() {
		algs = append(algs, string(alg))
	}
	return text + `, algs="` + strings.Join(algs, " ") + `"`
}

// schemeOf is the scheme that a caller tried.
func schemeOf(r *http.Request) string {
	if scheme, _, _ := parseAuthorization(r.Header["Authorization"]); scheme != "" {
		return scheme
	}
	return schemeBearer
}

// deny answers with 401, or 403 where the caller is known. A cookie is never
// cleared here: an outage must not sign anybody out.
func (h *Handler) deny(w http.ResponseWriter, r *http.Request, why denial, err error) {
	h.counts.denied[why].Inc()
	if why != denyNothing { // every client's first request is one: they would push all others out
		h.refusals.add(refusalOf(r, why, h.Now()))
	}
	header := w.Header()
	header.Set("Content-Length", "0")
	uri := r.Header.Get(contract.HeaderOriginalURI)
	code := http.StatusUnauthorized
	switch why {
	case denyUnavailable:
		header.Set(contract.HeaderAuthStatus, "503")
		header.Set("Retry-After", retryAfter)
		h.Log.Warn().Err(err).Str("request_id", httpkit.PlainRequestID(r)).Msg("no verdict: the store, the keys or the provider is out of reach")
	case denyScope, denyRole:
		code = http.StatusForbidden
		header.Set("WWW-Authenticate", h.challenge(schemeOf(r), "insufficient_scope", uri))
	case denyToken:
		header.Set("WWW-Authenticate", h.challenge(schemeOf(r), "invalid_token", uri))
	case denyProof:
		header.Set("WWW-Authenticate", h.challenge(schemeDPoP, "invalid_dpop_proof", uri))
	default:
		header.Set("WWW-Authenticate", h.challenge(schemeBearer, "", uri))
	}
	if err != nil && why != denyUnavailable {
		h.Log.Debug().Err(err).Str("request_id", httpkit.PlainRequestID(r)).Str("why", denialNames[why]).Msg("denied")
	}
	w.WriteHeader(code)
}

// counts holds the counters themselves, so that the hot path looks up none.
type counts struct {
	cookie, token prometheus.Counter
	hits, misses  prometheus.Counter
	denied        [denials]prometheus.Counter
}

func newCounts(reg prometheus.Registerer, c *cache) counts {
	verdicts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "authsvc_verdicts_total", Help: "Answers to auth_request, by outcome and by what was shown or lacked.",
	}, []string{"outcome", "by"})
	looks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "authsvc_verdict_cache_total", Help: "Looks into the remembered verdicts, by whether one was fresh.",
	}, []string{"result"})
	reg.MustRegister(verdicts, looks, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "authsvc_remembered_verdicts", Help: "Verdicts remembered in this process.",
	}, func() float64 { return float64(c.len()) }))
	n := counts{cookie: verdicts.WithLabelValues("allowed", "cookie"), token: verdicts.WithLabelValues("allowed", "token"),
		hits: looks.WithLabelValues("hit"), misses: looks.WithLabelValues("miss")}
	for why, name := range denialNames {
		n.denied[why] = verdicts.WithLabelValues("denied", name)
	}
	return n
}
