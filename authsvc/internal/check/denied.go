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
			Title: "Nobody can tell right now", Text: "A part that this needs is out of reach. You are still signed in.",
			Action: "Try again", ActionPath: DeniedPath,
		}, err)
	}
	return h.Pages.Problem(w, r, http.StatusForbidden, page.Problem{
		Title: "This is not open to you", Text: h.explain(why, err), Action: "Your account", ActionPath: "/account",
	}, err)
}
