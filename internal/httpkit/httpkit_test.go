package httpkit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"gatehouse/internal/httpkit"
)

func answer(h http.Handler, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/a?secret=x", nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestErrorsTellTheCallerLittleAndTheLogAll(t *testing.T) {
	var log bytes.Buffer
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
		logged string
	}{
		"its own words":  {&httpkit.Error{Code: 404, Msg: "no such session"}, 404, "no such session", ""},
		"a wrapped one":  {errors.Join(&httpkit.Error{Code: 429, Msg: "later"}), 429, "later", ""},
		"anything else":  {errors.New("password is hunter2"), 500, "internal error", "hunter2"},
		"a fault below":  {&httpkit.Error{Code: 503, Msg: "no store", Err: errors.New("dial refused")}, 503, "no store", "dial refused"},
		"a caller's own": {&httpkit.Error{Code: 400, Msg: "bad", Err: errors.New("detail")}, 400, "bad", ""},
	} {
		t.Run(name, func(t *testing.T) {
			log.Reset()
			h := httpkit.Chain(httpkit.Handle(func(http.ResponseWriter, *http.Request) error { return c.err }),
				httpkit.WithRequestID(zerolog.New(&log)))
			w := answer(h, http.Header{"X-Request-Id": {"abc-1"}})
			var body struct{ Error, Message, RequestID string }
			if err := json.Unmarshal(bytes.ReplaceAll(w.Body.Bytes(), []byte("request_id"), []byte("RequestID")), &body); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || body.Message != c.says || body.RequestID != "abc-1" ||
				body.Error != http.StatusText(c.status) {
				t.Errorf("%d %+v", w.Code, body)
			}
			if got := log.String(); (c.logged == "") != (got == "") || !strings.Contains(got, c.logged) {
				t.Errorf("log = %q, want %q in it", got, c.logged)
			}
		})
	}
}

func TestRequestIDIsPlainOrNew(t *testing.T) {
	for name, c := range map[string]struct {
		sent string
		kept bool
	}{
		"nginx's":    {"4f2a9c0d4f2a9c0d4f2a9c0d4f2a9c0d", true},
		"none":       {"", false},
		"long":       {strings.Repeat("a", 65), false},
		"line break": {"a\nb", false},
		"quote":      {`a"b`, false},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			h := httpkit.WithRequestID(zerolog.Nop())(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = httpkit.RequestID(r.Context())
			}))
			answer(h, http.Header{"X-Request-Id": {c.sent}})
			if (got == c.sent) != c.kept || got == "" {
				t.Errorf("%q became %q", c.sent, got)
			}
		})
	}
}

func TestAccessLogHasNoQuery(t *testing.T) {
	var log bytes.Buffer
	h := httpkit.Chain(
		http.NotFoundHandler(),
		httpkit.WithRequestID(zerolog.New(&log)),
		httpkit.AccessLog(zerolog.New(&log), zerolog.InfoLevel),
	)
	answer(h, nil)
	var line struct {
		Method, Path string
		Status       int
	}
	if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.Path != "/a" || line.Status != 404 ||
		line.Method != "GET" {
		t.Errorf("%+v, %v: %s", line, err, log.String())
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the query is in the log: %s", log.String())
	}
}

func TestAPanicIsA500(t *testing.T) {
	var log bytes.Buffer
	h := httpkit.Chain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }),
		httpkit.WithRequestID(zerolog.New(&log)), httpkit.Recover())
	if w := answer(h, nil); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "boom") {
		t.Errorf("log = %q", log.String())
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the very value
			t.Errorf("recovered %v, want http.ErrAbortHandler to pass", p)
		}
	}()
	answer(
		httpkit.Recover()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })),
		nil,
	)
}

func TestReadyNamesWhatFails(t *testing.T) {
	broken := errors.New("dial 10.0.0.9: refused")
	h := httpkit.Ready(map[string]httpkit.Check{
		"store": func(context.Context) error { return broken },
		"keys":  func(context.Context) error { return nil },
	})
	w := answer(h, nil)
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "10.0.0.9") ||
		!strings.Contains(w.Body.String(), `"store":"failed"`) || !strings.Contains(w.Body.String(), `"keys":"ok"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	broken = nil
	if w := answer(h, nil); w.Code != http.StatusOK {
		t.Errorf("all is well: %d %s", w.Code, w.Body)
	}
}

func TestSecretFromOnePlace(t *testing.T) {
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "secret"), filepath.Join(dir, "empty")
	for path, text := range map[string]string{file: "s3cret\n", empty: "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		value, file, want string
		ok                bool
	}{
		"value": {"v", "", "v", true}, "file": {"", file, "s3cret", true}, "neither": {"", "", "", true},
		"both": {"v", file, "", false}, "empty file": {"", empty, "", false}, "no file": {"", filepath.Join(dir, "none"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := httpkit.Secret("X", c.value, c.file)
			if got != c.want || (err == nil) != c.ok || err != nil && !errors.Is(err, httpkit.ErrSecret) {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestListenOnASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := httpkit.Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("socket %v, %v: nginx, another user, could not connect", info.Mode(), err)
	}
	if _, err := httpkit.Listen(t.Context(), "unix:"+path); err == nil {
		t.Error("a socket that somebody serves was taken over")
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	_ = first.Close()
	second, err := httpkit.Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatalf("a socket that nobody serves: %v", err)
	}
	_ = second.Close()
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := httpkit.Listen(t.Context(), "unix:"+path); err == nil {
		t.Error("a file that is no socket was removed")
	}
}
