package translate_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"gatehouse/bridge/internal/translate"
)

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func read(t testing.TB, body string) translate.Request {
	t.Helper()
	r, err := translate.ReadEnvelope([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ReadMeta(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestForOlderChildKeepsTheRest(t *testing.T) {
	r := read(t, `{"jsonrpc":"2.0","id":12345678901234567890,"method":"tools/call","params":{"name":"x","arguments":{"n":1.50},"requestState":"s",`+meta+`},"extra":1e400}`)
	got := string(r.ForChild(json.RawMessage("7"), nil, true))
	want := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":{"n":1.50}},"extra":1e400}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHeaderRules(t *testing.T) {
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"naïve","arguments":{"a":{"n":42,"s":" x "}},` + meta + `}}`
	good := map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "=?base64?bmHDr3Zl?=", "Mcp-Param-N": "42.0", "Mcp-Param-S": "=?base64?IHgg?="}
	schema := json.RawMessage(`{"properties":{"a":{"properties":{"n":{"x-mcp-header":"N"},"s":{"x-mcp-header":"S"},"gone":{"x-mcp-header":"Gone"}}}}}`)
	check := func(change map[string]string) int {
		r := read(t, call)
		h := http.Header{}
		for k, v := range good {
			h.Set(k, v)
		}
		for k, v := range change {
			if h.Del(k); v != "" {
				h.Set(k, v)
			}
		}
		if err := r.CheckVersion(h); err != nil {
			return err.Code
		}
		if err := r.CheckHeaders(h); err != nil {
			return err.Code
		}
		if err := r.CheckParams(h, translate.ParamHeaders(schema)); err != nil {
			return err.Code
		}
		return 0
	}
	if code := check(nil); code != 0 {
		t.Fatalf("the conformant request got %d", code)
	}
	for name, change := range map[string]map[string]string{
		"no version":     {"Mcp-Protocol-Version": ""},
		"other version":  {"Mcp-Protocol-Version": "2025-11-25"},
		"other method":   {"Mcp-Method": "tools/list"},
		"no name":        {"Mcp-Name": ""},
		"bad base64":     {"Mcp-Name": "=?base64?!?="},
		"param missing":  {"Mcp-Param-N": ""},
		"param differs":  {"Mcp-Param-N": "43"},
		"param surplus":  {"Mcp-Param-Gone": "x"},
		"control in it":  {"Mcp-Param-S": "a\x01"},
		"raw non-ASCII":  {"Mcp-Name": "naïve"},
		"huge exponents": {"Mcp-Param-N": "42e999999999"},
	} {
		if code := check(change); code != translate.CodeHeaderMismatch {
			t.Errorf("%s: code %d, want %d", name, code, translate.CodeHeaderMismatch)
		}
	}
}

func TestDuplicateKeysAreRefused(t *testing.T) {
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}`,
		`{"jsonrpc":"2.0","id":1,"method":"a","\u006dethod":"b"}`,
	} {
		if _, err := translate.ReadEnvelope([]byte(body)); err == nil {
			t.Errorf("%s passed", body)
		}
	}
}

func TestOlderAnswersBecomeModern(t *testing.T) {
	got := string(translate.ModernResult("tools/list", json.RawMessage(`{"tools":[],"x":1.0}`), json.RawMessage(`{"name":"s"}`)))
	want := `{"tools":[],"x":1.0,"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	interim := `{"resultType":"input_required","inputRequests":{}}` // carries no caching hints
	if got := string(translate.ModernResult("resources/read", json.RawMessage(interim), nil)); got != interim {
		t.Errorf("an interim result became %s", got)
	}
	if e := translate.ModernError("resources/read", json.RawMessage(`{"code":-32002,"message":"m","data":{"uri":"u"}}`)); e.Code != translate.CodeInvalidParams || string(e.Data) != `{"uri":"u"}` {
		t.Errorf("resource not found: %+v", e)
	}
	if e := translate.ModernError("no/such", json.RawMessage(`{"code":0,"message":"m"}`)); e.Code != translate.CodeMethodNotFound {
		t.Errorf("unknown method: %+v", e)
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x",` + meta + `}}`))
	f.Add([]byte(`{"a":"\"}","b":[{"c":1}],"d":{}}`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		translate.IsModern("", body)
		r, err := translate.ReadEnvelope(body)
		if err != nil {
			if out := err.Response(r.ID); !json.Valid(out) {
				t.Fatalf("error answer is not JSON: %s", out)
			}
			return
		}
		if out := r.ForChild(json.RawMessage("1"), nil, true); !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add("=?base64?eA==?=", "42.0")
	f.Fuzz(func(t *testing.T, name, param string) {
		r := read(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":42},`+meta+`}}`)
		h := http.Header{"Mcp-Method": {"tools/call"}, "Mcp-Name": {name}, "Mcp-Param-N": {param}}
		if err := r.CheckHeaders(h); err == nil && name != "x" && name != "=?base64?eA==?=" {
			t.Fatalf("name %q passed for x", name)
		}
		_ = r.CheckParams(h, []translate.ParamHeader{{Name: "N", Path: []string{"n"}}})
	})
}
