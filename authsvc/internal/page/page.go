// Package page writes the pages that people see: html/template, one embedded
// stylesheet, one script that its hash lets in, and a policy that allows nothing
// else. Every text stands in a catalogue (text/LANGUAGE.json), and a page is
// whole without the script.
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

//go:embed html text style.css page.js icon.svg
var files embed.FS

// Where the stylesheet and the icon are served.
const (
	StylePath = "/account/style.css"
	IconPath  = "/account/icon.svg"
)

// policy allows the stylesheet, the icon, the one script by its hash, and forms.
// The form that signs out is answered with a redirect to the provider, and a
// provider that brokers sends on to another: Chromium holds form-action against
// each of them, so that it names what all have in common. Our templates have no
// form to anywhere else.
func policy(script string) string {
	return "default-src 'none'; style-src 'self'; img-src 'self'; script-src '" + hashOf(script) + "'; base-uri 'none'; " +
		"frame-ancestors 'none'; form-action 'self' https:"
}

// Pages renders; New parses once.
type Pages struct {
	texts    catalogues
	tmpl     map[string]*template.Template // by language
	policy   string
	provider string // origin of the identity provider
	base     string // path of the public URL
}

// New parses the embedded templates. provider is the origin to which a logout
// form may be redirected. base is the path below which the gate lies, "" for a
// host of its own.
func New(provider, base string) (*Pages, error) {
	p := &Pages{provider: provider, base: base, tmpl: map[string]*template.Template{}}
	var err error
	if p.texts, err = readCatalogues(); err != nil {
		return nil, err
	}
	script, err := files.ReadFile("page.js")
	if err != nil {
		return nil, err
	}
	p.policy = policy(string(script))
	for language := range p.texts {
		funcs := p.funcs(language)
		funcs["script"] = func() template.JS { return template.JS(script) } //nolint:gosec // embedded, and hashed
		p.tmpl[language], err = template.New("").Funcs(funcs).ParseFS(files, "html/*.html")
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Path is where a browser finds what the gate has at a path.
func (p *Pages) Path(path string) string { return p.base + path }

// Style serves the stylesheet.
func Style(w http.ResponseWriter, _ *http.Request) error {
	return serveFile(w, "style.css", "text/css; charset=utf-8")
}

// Icon serves the icon.
func Icon(w http.ResponseWriter, _ *http.Request) error {
	return serveFile(w, "icon.svg", "image/svg+xml")
}

func serveFile(w http.ResponseWriter, name, kind string) error {
	text, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(text) // the caller is gone: nobody is left to tell
	return nil
}

// Write renders the named template in the person's language, as a page that is
// never cached.
func (p *Pages) Write(w http.ResponseWriter, r *http.Request, code int, name string, data any) error {
	language := p.choose(w, r)
	var body bytes.Buffer
	if err := p.tmpl[language].ExecuteTemplate(&body, name, data); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", language)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", p.policy+" "+p.provider)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes())
	return nil
}

// Problem is an error page: what happened and what to do now. Name is that of
// its texts, problem.NAME.title and problem.NAME.text, and Args stand in the
// latter. Action is the name of a text as well, ActionPath the gate's own, as it
// stands in its routes.
type Problem struct {
	Name               string
	Args               []any
	Action, ActionPath string
	RequestID          string
}

// Problem writes an error page. why goes to the log with the same request id.
func (p *Pages) Problem(w http.ResponseWriter, r *http.Request, code int, problem Problem, why error) error {
	problem.RequestID = httpkit.RequestID(r.Context())
	level := zerolog.InfoLevel
	if code >= http.StatusInternalServerError {
		level = zerolog.WarnLevel
	}
	title := p.texts[fallback].say("problem." + problem.Name + ".title")
	httpkit.Log(r.Context()).WithLevel(level).Err(why).Int("status", code).Msg(title)
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	return p.Write(w, r, code, "problem", problem)
}
