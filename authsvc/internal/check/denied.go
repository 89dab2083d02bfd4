package check

import (
	"net/http"

	"gatehouse/authsvc/internal/page"
	"gatehouse/authsvc/internal/resource"
)

// DeniedPath is where a browser that was refused is sent.
const DeniedPath = "/account/denied"

// denied tells a person what the account lacks and whom to ask. It decides
// nothing: it looks at the session as /auth would.
func (h *Handler) denied(w http.ResponseWriter, r *http.Request) error {
	text, ok := h.Cookie.Value(r.Header["Cookie"], maxCookieBytes)
	k, secret, parsed := cookieKey(text)
	if !ok || !parsed {
		http.Redirect(w, r, h.Pages.Path("/login"), http.StatusSeeOther)
		return nil
	}
	v, err := h.lookup(r.Context(), k, secret, nil)
	why, lacks := reasonOf(err, denyCookie), true
	if err == nil {
		why, lacks = h.lacks(v, resource.Resource{})
	}
	switch {
	case !lacks:
		http.Redirect(w, r, h.Pages.Path("/account"), http.StatusSeeOther)
		return nil
	case why == denyCookie:
		http.Redirect(w, r, h.Pages.Path("/login"), http.StatusSeeOther)
		return nil
	case why == denyUnavailable:
		return h.Pages.Problem(w, r, http.StatusServiceUnavailable, page.Problem{
			Name: "verdict-away", Action: "do.retry", ActionPath: DeniedPath,
		}, err)
	}
	problem := page.Problem{Name: "role", Args: []any{h.Rules.Role}, Action: "do.account", ActionPath: "/account"}
	if why == denyIdentity && err != nil {
		problem.Name, problem.Args = "unusable", []any{err.Error()}
	}
	if h.Contact != "" {
		problem.Name, problem.Args = problem.Name+"-ask", append(problem.Args, h.Contact)
	}
	return h.Pages.Problem(w, r, http.StatusForbidden, problem, err)
}
