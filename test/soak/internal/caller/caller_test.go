package caller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// silent reads the question, or it would not see the caller go.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

const answer = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"%s"}]}}`

// TestWhatCallersSee of servers that are wrong, each in its way.
func TestWhatCallersSee(t *testing.T) {
	ask := Ask{Tool: "countdown", Want: "lift-off", Token: "soak-1-1", Steps: 2}
	progress := func(token string, n int) string {
		return fmt.Sprintf("id: %d\ndata: "+`{"jsonrpc":"2.0","method":"notifications/progress",`+
			`"params":{"progressToken":%q,"progress":%d}}`+"\n\n", n, token, n)
	}
	good := "data: " + fmt.Sprintf(answer, "lift-off") + "\n\n"
	stream := func(events ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, strings.Join(events, ""))
		}
	}
	plain := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	wrong, refused, nameless, cut := new(*Wrong), new(*Refused), new(*Nameless), new(*Cut)
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		want  any // nil for a good answer
	}{
		"all of it":               {stream(progress("soak-1-1", 1), progress("soak-1-1", 2), good), nil},
		"another's progress":      {stream(progress("soak-1-1", 1), progress("soak-2-1", 2), good), wrong},
		"a step lost":             {stream(progress("soak-1-1", 2), good), wrong},
		"a step twice":            {stream(progress("soak-1-1", 1), progress("soak-1-1", 1), progress("soak-1-1", 2), good), wrong},
		"another's answer":        {plain(200, fmt.Sprintf(answer, "12000003")), wrong},
		"an answer not asked for": {plain(200, strings.Replace(fmt.Sprintf(answer, "lift-off"), `"id":1`, `"id":9`, 1)), wrong},
		"an error":                {plain(200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"the child died"}}`), refused},
		"a reason":                {plain(503, `{"error":"Service Unavailable","message":"temporarily unavailable"}`), refused},
		"no reason":               {plain(502, "<html>502 Bad Gateway</html>"), nameless},
		"no JSON":                 {plain(200, "ok"), wrong},
		"half a stream":           {stream(progress("soak-1-1", 1)), cut},
		"no answer":               {silent, ErrSilent},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.serve)
			defer server.Close()
			c := &stateless{web: &web{gate: server.URL, http: server.Client(), user: &User{}}}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			reply, err := c.Call(ctx, ask)
			if err == nil {
				err = ask.Judge(reply, true)
			}
			is := err == nil
			switch want := tc.want.(type) {
			case nil:
			case error:
				is = errors.Is(err, want)
			default:
				is = errors.As(err, want)
			}
			if !is {
				t.Errorf("%T %v", err, err)
			}
		})
	}
}

func TestSumsAreTheCallersOwn(t *testing.T) {
	ask := Ask{Tool: "add", Want: "1.200003e+07"}
	if ask.Judge(Reply{Text: "1.200003e+07"}, true) != nil || ask.Judge(Reply{Text: "11.200003e+07"}, true) == nil {
		t.Error("a sum is looked for inside of another")
	}
}
