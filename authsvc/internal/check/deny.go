package check

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/authsvc/internal/oidc"
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

// Rules is what a caller must show, and how a challenge names it.
type Rules struct {
	PublicURL string
	Scopes    []string // each access token must have all
	Role      string   // each caller must have it; "" for none
}

func (ru Rules) scopesOK(id contract.Identity) bool {
	for _, s := range ru.Scopes {
		if !id.HasScope(s) {
			return false
		}
	}
	return true
}

func (ru Rules) roleOK(id contract.Identity) bool { return ru.Role == "" || id.HasRole(ru.Role) }

// challenge is WWW-Authenticate as RFC 6750, 3 and RFC 9728, 5.1 say. Its scope
// names all that is needed, not only what lacks. Who tried DPoP is told of that
// scheme (RFC 9449, 7.1).
func (ru Rules) challenge(scheme, errorCode, originalURI string) string {
	var b strings.Builder
	b.WriteString(scheme + " ")
	if errorCode != "" {
		b.WriteString(`error="` + errorCode + `", `)
	}
	b.WriteString(`resource_metadata="` + ru.PublicURL + "/.well-known/oauth-protected-resource" + ResourcePath(originalURI) + `"`)
	if len(ru.Scopes) > 0 {
		b.WriteString(`, scope="` + strings.Join(ru.Scopes, " ") + `"`)
	}
	if scheme == schemeDPoP {
		b.WriteString(`, algs="`)
		for i, alg := range oidc.Algorithms() {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(string(alg))
		}
		b.WriteByte('"')
	}
	return b.String()
}

// schemeOf is the scheme that a caller tried.
func schemeOf(r *http.Request) string {
	if scheme, _, _ := parseAuthorization(r.Header["Authorization"]); scheme != "" {
		return scheme
	}
	return schemeBearer
}

// ResourcePath is the path of the protected resource that a request was for,
// or "" where the request names none: nothing else of it reaches a header.
func ResourcePath(originalURI string) string {
	u, err := url.ParseRequestURI(originalURI)
	if err != nil {
		return ""
	}
	path, server := u.Path, ""
	if rest, ok := strings.CutPrefix(path, "/servers/"); ok {
		name, tail, found := strings.Cut(rest, "/")
		if !found || !plainName(name) {
			return ""
		}
		server, path = "/servers/"+name, "/"+tail
	}
	if !slices.Contains([]string{"/mcp", "/sse", "/message"}, path) {
		return ""
	}
	return server + path
}

func plainName(name string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return name != "" && len(name) <= 64 && strings.Trim(name, plain) == "" && strings.Trim(name, ".") != ""
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
		header.Set("WWW-Authenticate", h.Rules.challenge(schemeOf(r), "insufficient_scope", uri))
	case denyToken:
		header.Set("WWW-Authenticate", h.Rules.challenge(schemeOf(r), "invalid_token", uri))
	case denyProof:
		header.Set("WWW-Authenticate", h.Rules.challenge(schemeDPoP, "invalid_dpop_proof", uri))
	default:
		header.Set("WWW-Authenticate", h.Rules.challenge(schemeBearer, "", uri))
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
