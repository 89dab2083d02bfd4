package check

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/auditlog"
	"gatehouse/authsvc/internal/outage"
	"gatehouse/authsvc/internal/provider"
	"gatehouse/internal/contract"
)

// denial is why nobody is let in.
type denial int

const (
	denyNothing     denial = iota // neither cookie nor token
	denyCookie                    // a cookie that opens no session
	denyToken                     // a token that is not good
	denyAudience                  // a token that was made for another resource of this gate
	denyProof                     // a token that is bound to a key, and no good proof of it
	denyScope                     // signed in, the token lacks a scope
	denyRole                      // signed in, the user lacks the role
	denyIdentity                  // signed in, the identity cannot travel whole
	denyUnavailable               // nobody can tell now
	denials
)

var denialNames = [denials]string{
	"none", "cookie", "token", "audience", "proof", "scope", "role", "identity", "unavailable",
}

// errorCodes are those of RFC 6750, 3.1 and RFC 9449, 7.1. The last two are our
// own: a client that read insufficient_scope would ask for scopes for nothing.
var errorCodes = [denials]string{
	denyToken: "invalid_token", denyAudience: "invalid_token", denyProof: "invalid_dpop_proof",
	denyScope: "insufficient_scope", denyRole: "insufficient_role", denyIdentity: "unusable_identity",
}

const retryAfter = "2"

// challenge names the resource that was asked for. Who tried DPoP is told of
// that scheme and its algorithms (RFC 9449, 7.1).
func (h *Handler) challenge(scheme, errorCode, originalURI string) string {
	text := h.Rules.Challenge(scheme, errorCode, h.Rules.Of(originalURI))
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

// deny answers with 401, or 403 where the caller is known: no new sign-in
// would help. A cookie is never cleared here: an outage must not sign anybody
// out. user is the subject, where it is known.
func (h *Handler) deny(w http.ResponseWriter, r *http.Request, why denial, user string, err error) {
	h.counts.denied[why].Inc()
	if why != denyNothing { // every client's first request is one: they would push all others out
		h.refusals.add(refusalOf(r, why, h.Now()))
	}
	h.tell(r, why, user, err)
	header := w.Header()
	header.Set("Content-Length", "0")
	code := http.StatusUnauthorized
	switch why {
	case denyUnavailable:
		header.Set(contract.HeaderAuthStatus, "503")
		header.Set("Retry-After", retryAfter)
	case denyRole, denyIdentity:
		code = http.StatusForbidden
		header.Set("WWW-Authenticate", fmt.Sprintf(`%s error="%s", error_description="%s"`,
			schemeOf(r), errorCodes[why], quotable(h.explain(why, err))))
	default:
		if why == denyScope {
			code = http.StatusForbidden
		}
		scheme := schemeOf(r)
		if why == denyProof {
			scheme = schemeDPoP
		}
		header.Set("WWW-Authenticate", h.challenge(scheme, errorCodes[why], r.Header.Get(contract.HeaderOriginalURI)))
	}
	w.WriteHeader(code)
}

// tell writes one line for a refusal, whatever was shown. Who showed nothing
// was refused nothing yet.
func (h *Handler) tell(r *http.Request, why denial, user string, err error) {
	level, text := zerolog.InfoLevel, "refused"
	switch why {
	case denyNothing:
		level = zerolog.DebugLevel
	case denyUnavailable:
		level, text = zerolog.WarnLevel, "no verdict: "+outage.Cause(err)
	}
	line := h.Log.WithLevel(level)
	if user != "" {
		line = line.Str("user", user)
	}
	one := refusalOf(r, why, h.Now())
	if why != denyNothing && why != denyUnavailable {
		h.Audit.Write(auditlog.Line{Event: "refused", User: user, Why: one.Why, IP: one.IP, Path: one.Path,
			RequestID: one.RequestID})
	}
	line.Err(err).Str("why", one.Why).Str("scheme", schemeOf(r)).Str("ip", one.IP).Str("path", one.Path).
		Str("request_id", one.RequestID).Msg(text)
}

// explain says what a caller who is known lacks, and what to do.
func (h *Handler) explain(why denial, err error) string {
	text := "Your account cannot be used here"
	switch {
	case why == denyRole:
		text = "The role " + h.Rules.Role + " is missing"
	case err != nil:
		text += ": " + err.Error()
	}
	if h.Contact == "" {
		return text + ". Ask whoever runs this gate."
	}
	return text + ". Ask " + h.Contact + "."
}

// quotable leaves what may stand in error_description (RFC 6750, 3): no quote,
// no backslash, nothing but printable ASCII.
func quotable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, text)
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
