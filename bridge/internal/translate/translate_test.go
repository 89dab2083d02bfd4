package translate_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func read(t testing.TB, body string) translate.Request {
	t.Helper()
	m, fault := rpc.ParseClient([]byte(body))
	if fault != nil {
		t.Fatal(fault)
	}
	r, err := translate.ReadEnvelope(&m)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ReadMeta(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestForOlderChildKeepsTheRest(t *testing.T) {
	r := read(
		t,
		`{"jsonrpc":"2.0","id":12345678901234567890,"method":"tools/call","params":{"name":"x","arguments":{"n":1.50},"requestState":"s",`+meta+`},"extra":1e400}`,
	)
	got := string(r.ForChild(true))
	want := `{"jsonrpc":"2.0","id":12345678901234567890,"method":"tools/call","params":{"name":"x","arguments":{"n":1.50}},"extra":1e400}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHeaderRules(t *testing.T) {
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"naïve","arguments":{"a":{"n":42,"s":" x "}},` + meta + `}}`
	good := map[string]string{
		"Mcp-Protocol-Version": "2026-07-28",
		"Mcp-Method":           "tools/call",
		"Mcp-Name":             "=?base64?bmHDr3Zl?=",
		"Mcp-Param-N":          "42.0",
		"Mcp-Param-S":          "=?base64?IHgg?=",
	}
	schema := json.RawMessage(
		`{"properties":{"a":{"properties":{"n":{"x-mcp-header":"N"},"s":{"x-mcp-header":"S"},"gone":{"x-mcp-header":"Gone"}}}}}`,
	)
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
		if code := check(change); code != rpc.CodeHeaderMismatch {
			t.Errorf("%s: code %d, want %d", name, code, rpc.CodeHeaderMismatch)
		}
	}
}

func TestDuplicateKeysAreRefused(t *testing.T) {
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}`,
		`{"jsonrpc":"2.0","id":1,"method":"a","\u006dethod":"b"}`,
	} {
		if m, err := rpc.ParseClient([]byte(body)); err != nil {
			continue
		} else if _, err := translate.ReadEnvelope(&m); err == nil {
			t.Errorf("%s passed", body)
		}
	}
}

func TestOlderAnswersBecomeModern(t *testing.T) {
	got := string(
		translate.ModernResult("tools/list", json.RawMessage(`{"tools":[],"x":1.0}`), json.RawMessage(`{"name":"s"}`)),
	)
	want := `{"tools":[],"x":1.0,"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	interim := `{"resultType":"input_required","inputRequests":{}}` // carries no caching hints
	if got := string(translate.ModernResult("resources/read", json.RawMessage(interim), nil)); got != interim {
		t.Errorf("an interim result became %s", got)
	}
	for _, tc := range []struct{ method, in, want string }{
		{"resources/read", `{"code":-32002,"message":"m","data":{"uri":"u"}}`, `{"code":-32602,"message":"m","data":{"uri":"u"}}`},
		{"no/such", `{"code":0,"message":"m"}`, `{"code":-32601,"message":"m"}`},
		{"tools/call", `{"code":-1,"message":"\u0061"}`, `{"code":-1,"message":"\u0061"}`},
		{"tools/call", `5`, `{"code":-32603,"message":"Internal error: the server's error cannot be read"}`},
	} {
		if _, got := translate.ModernError(tc.method, json.RawMessage(tc.in)); string(got) != tc.want {
			t.Errorf("%s: %s became %s", tc.method, tc.in, got)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x",` + meta + `}}`))
	f.Add([]byte(`{"a":"\"}","b":[{"c":1}],"d":{}}`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, fault := rpc.ParseClient(body)
		if fault != nil {
			return
		}
		r, err := translate.ReadEnvelope(&m)
		if err != nil {
			if out := err.ModernBody(r.ID); !json.Valid(out) {
				t.Fatalf("error answer is not JSON: %s", out)
			}
			return
		}
		if out := r.ForChild(true); !json.Valid(out) {
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
