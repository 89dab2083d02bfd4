package caller

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/test/load/internal/wire"
)

func TestJudge(t *testing.T) {
	const caller, seq = 12, 34
	answer := func(id, text string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}`, id, text)
	}
	cases := map[string]struct {
		body string
		want Verdict
	}{
		"right":                {answer("34", "gatehouse-load.12.34."), Good},
		"id after a space":     {strings.Replace(answer("34", "gatehouse-load.12.34."), `"id":`, `"id": `, 1), Good},
		"other id":             {answer("35", "gatehouse-load.12.34."), Wrong},
		"longer id":            {answer("340", "gatehouse-load.12.34."), Wrong},
		"earlier text":         {answer("34", "gatehouse-load.12.33."), Wrong},
		"another caller":       {answer("34", "gatehouse-load.13.34."), Foreign},
		"caller of one prefix": {answer("34", "gatehouse-load.123.34."), Foreign},
		"error":                {`{"jsonrpc":"2.0","id":34,"error":{"code":-32603}}`, Refused},
		"error that echoes":    {`{"jsonrpc":"2.0","id":34,"error":{"message":"gatehouse-load.12.34."}}`, Wrong},
		"empty":                {"", Wrong},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := judge([]byte(tc.body), caller, seq); got != tc.want {
				t.Errorf("verdict %d, want %d", got, tc.want)
			}
		})
	}
}

// TestCrossedAnswers shows that a server which swaps two callers' answers is
// found out, and one that answers each its own is not accused.
func TestCrossedAnswers(t *testing.T) {
	var crossed bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		text := string(body)
		if crossed {
			text = strings.ReplaceAll(text, mark, mark+"9")
		}
		_, _ = fmt.Fprint(w, strings.Replace(text, `"method"`, `"result":{},"method"`, 1))
	}))
	defer server.Close()
	c := New(Stateless, wire.Target{Addr: server.Listener.Addr().String()}, "")
	defer c.Close()
	if v, err := c.Call(1); v != Good {
		t.Fatalf("an honest server: verdict %d, %v", v, err)
	}
	crossed = true
	if v, _ := c.Call(2); v != Foreign {
		t.Errorf("a server that crosses answers: verdict %d, want Foreign", v)
	}
}
