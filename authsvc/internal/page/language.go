package page

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	fallback       = "en"
	languageCookie = "gatehouse_lang" // nginx/gatehouse/http/maps.conf reads it too
	maxAccept      = 512              // bytes of Accept-Language that are looked at
	year           = 365 * 24 * 60 * 60
)

// catalogue holds the texts of one language by name. Its own name is "language".
type catalogue map[string]string

// say returns a text with its arguments. A name that no catalogue has stands for
// itself: a test holds that there is none.
func (c catalogue) say(name string, args ...any) string {
	text, ok := c[name]
	switch {
	case !ok:
		return name
	case len(args) == 0:
		return text
	}
	return fmt.Sprintf(text, args...)
}

type catalogues map[string]catalogue

// readCatalogues reads each text/LANGUAGE.json; the file's name is the tag of its
// language.
func readCatalogues() (catalogues, error) {
	names, err := files.ReadDir("text")
	if err != nil {
		return nil, err
	}
	all := catalogues{}
	for _, entry := range names {
		text, err := files.ReadFile(path.Join("text", entry.Name()))
		if err != nil {
			return nil, err
		}
		c := catalogue{}
		if err := json.Unmarshal(text, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		all[strings.TrimSuffix(entry.Name(), ".json")] = c
	}
	return all, nil
}

// choose is the language of the page: the one that its switch asks for, which is
// remembered, else the one remembered, else the browser's best of those there
// are.
func (p *Pages) choose(w http.ResponseWriter, r *http.Request) string {
	if asked := r.URL.Query().Get("lang"); p.texts[asked] != nil {
		http.SetCookie(w, &http.Cookie{
			Name: languageCookie, Value: asked, Path: "/", MaxAge: year,
			Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
		return asked
	}
	return cmp.Or(p.Chosen(r), p.texts.best(r.Header.Get("Accept-Language")))
}

// Chosen is the language that the person has chosen by the switch, or "".
func (p *Pages) Chosen(r *http.Request) string {
	c, err := r.Cookie(languageCookie)
	if err != nil {
		return ""
	}
	for tag := range p.texts {
		if tag == c.Value {
			return tag
		}
	}
	return ""
}

// best reads Accept-Language (RFC 9110, 12.5.4) as far as it must: the language
// alone of each range counts, and its weight.
func (all catalogues) best(accept string) string {
	best, most := fallback, 0.0
	for part := range strings.SplitSeq(accept[:min(len(accept), maxAccept)], ",") {
		tag, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		tag, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(weight), "q="); ok {
			q, _ = strconv.ParseFloat(value, 64) // what is no number weighs nothing
		}
		if all[tag] != nil && q > most {
			best, most = tag, q
		}
	}
	return best
}

// choice is an entry of the language switch.
type choice struct {
	Tag, Name string
	Current   bool
}

func (p *Pages) choices(current string) []choice {
	var all []choice
	for tag, texts := range p.texts {
		all = append(all, choice{tag, texts.say("language"), tag == current})
	}
	slices.SortFunc(all, func(a, b choice) int { return strings.Compare(a.Tag, b.Tag) })
	return all
}

// funcs are what the templates can say in one language.
func (p *Pages) funcs(language string) template.FuncMap {
	texts := p.texts[language]
	return template.FuncMap{
		"t": texts.say, "path": p.Path,
		"tell":      func(name string, args []any) string { return texts.say(name, args...) },
		"language":  func() string { return language },
		"languages": func() []choice { return p.choices(language) },
		"when":      func(t time.Time) moment { return texts.moment(t, time.Now()) },
		"has":       func(name string) bool { return texts[name] != "" },
		"nth":       func(i int) int { return i + 1 },
	}
}

// moment is a time for the eye: the script writes it as the browser's own place
// has it.
type moment struct{ ISO, UTC, Ago string }

func (c catalogue) moment(t, now time.Time) moment {
	return moment{t.UTC().Format(time.RFC3339), t.UTC().Format("2006-01-02 15:04 UTC"), c.ago(now.Sub(t))}
}

func (c catalogue) ago(d time.Duration) string {
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int(d / unit.long); n == 1 {
			return c.say("ago." + unit.name)
		} else if n > 1 {
			return c.say("ago."+unit.name+"s", n)
		}
	}
	return c.say("ago.now")
}

// hashOf is a text's hash as a content security policy names it (CSP 3, 2.3.1).
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
