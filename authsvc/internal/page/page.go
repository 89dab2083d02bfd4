// Package page writes the pages that people see: html/template, one embedded
// stylesheet, no script, and a policy that allows nothing else.
//
// It must never know what a session or a token is.
package page

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"

	"github.com/rs/zerolog"

	"gatehouse/internal/httpkit"
)

//go:embed html style.css
var files embed.FS

// StylePath is where the stylesheet is served.
const StylePath = "/account/style.css"

// policy allows the stylesheet and forms, nothing else. The form that signs out
// is answered with a redirect to the provider, and a provider that brokers sends
// on to another: Chromium holds form-action against each of them, so that it
// names what all have in common. Our templates have no form to anywhere else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; " +
	"frame-ancestors 'none'; form-action 'self' https:"

// Pages renders; New parses once.
type Pages struct {
	tmpl     *template.Template
	provider string // origin of the identity provider
	base     string // path of the public URL
}

// New parses the embedded templates. provider is the origin to which a logout
// form may be redirected. base is the path below which the gate lies, "" for a
// host of its own.
func New(provider, base string) (*Pages, error) {
	p := &Pages{provider: provider, base: base}
	var err error
	p.tmpl, err = template.New("").Funcs(template.FuncMap{"path": p.Path}).ParseFS(files, "html/*.html")
	return p, err
}

// Path is where a browser finds what the gate has at a path.
func (p *Pages) Path(path string) string { return p.base + path }

// Style serves the stylesheet.
func Style(w http.ResponseWriter, _ *http.Request) error {
	css, err := files.ReadFile("style.css")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(css) // the caller is gone: nobody is left to tell
	return nil
}

// Write renders the named template as a page that is never cached.
func (p *Pages) Write(w http.ResponseWriter, code int, name string, data any) error {
	var body bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&body, name, data); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", policy+" "+p.provider)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes())
	return nil
}

// Problem is an error page's contents: what happened and what to do now.
// ActionPath is the gate's own, as it stands in its routes.
type Problem struct {
	Title, Text, Action, ActionPath string
	RequestID                       string
}

// Problem writes an error page. why goes to the log with the same request id.
func (p *Pages) Problem(w http.ResponseWriter, r *http.Request, code int, problem Problem, why error) error {
	problem.RequestID = httpkit.RequestID(r.Context())
	level := zerolog.InfoLevel
	if code >= http.StatusInternalServerError {
		level = zerolog.WarnLevel
	}
	httpkit.Log(r.Context()).WithLevel(level).Err(why).Int("status", code).Msg(problem.Title)
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	return p.Write(w, code, "problem", problem)
}
