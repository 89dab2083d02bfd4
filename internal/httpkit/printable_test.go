package httpkit_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"gatehouse/internal/httpkit"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"/mcp?x=한글&é":           "/mcp?x=한글&é",
		"a\x1b[2J\r\n\x7f":      "a�[2J���",
		"a\u0080\u009b2J\u009f": "a��2J�",
		"a\u00a0":               "a\u00a0",
		"a\x9b2J\xc2":           "a�2J�",
		"a�":                    "a�",
	} {
		if got := httpkit.Printable(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// The path is logged as it is decoded: a terminal that shows the line must not
// obey it.
func TestAccessLogHasNoControls(t *testing.T) {
	var log bytes.Buffer
	h := httpkit.Chain(http.NotFoundHandler(), httpkit.WithRequestID(zerolog.New(&log)),
		httpkit.AccessLog(zerolog.New(&log), zerolog.InfoLevel))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/a%C2%9B2J%9B%1B%7F%ED%95%9C", nil))
	if said := log.String(); !strings.Contains(said, `"path":"/a�2J���한"`) {
		t.Errorf("%q", said)
	}
}

func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"/mcp", "a\u009b2J", "\x9b", "\xe2\x80", "한"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := httpkit.Printable(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q is %q", text, got)
		}
		if utf8.RuneCountInString(got) != utf8.RuneCountInString(text) || httpkit.Printable(got) != got {
			t.Errorf("%q is %q, which is another text", text, got)
		}
	})
}
