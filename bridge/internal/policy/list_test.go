package policy_test

import (
	"encoding/json"
	"errors"
	"testing"

	"gatehouse/bridge/internal/policy"
)

func TestFilterResult(t *testing.T) {
	p := mustParse(t, sample)
	alice := user("mcp-user", "mcp.access")
	cases := map[string]struct{ method, in, want string }{
		"tools": {"tools/list",
			`{"tools":[ {"name":"slack_list_a","x":{"name":"q"}} , {"name":"send_message"},{"n":1},{"name":"slack_get_users"}], "nextCursor":"c]}"}`,
			`{"tools":[{"name":"slack_list_a","x":{"name":"q"}},{"name":"slack_get_users"}], "nextCursor":"c]}"}`},
		"none left": {"tools/list", `{"tools":[{"name":"send_message"}],"nextCursor":"c"}`, `{"tools":[],"nextCursor":"c"}`},
		"the cache is the caller's own": {"tools/list",
			`{"cacheScope":"public","ttlMs":5,"tools":[{"name":"x"}]}`,
			`{"cacheScope":"private","ttlMs":5,"tools":[]}`},
		"the cache is named last": {"tools/list",
			`{"tools":[{"name":"x"}],"cacheScope":"public"}`,
			`{"tools":[],"cacheScope":"private"}`},
		"another method passes": {"tools/call", `{"tools":[{"name":"x"}]}`, `{"tools":[{"name":"x"}]}`},
		"a name twice is no name": {"tools/list",
			`{"tools":[{"name":"slack_list_a","name":"x"}]}`, `{"tools":[]}`},
		"an escaped name": {"tools/list",
			`{"tools":[{"n\u0061me":"send\u005fmessage"}]}`, `{"tools":[]}`},
		"prompts": {"prompts/list", `{"prompts":[{"name":"p"}]}`, `{"prompts":[{"name":"p"}]}`},
		"resources": {"resources/list",
			`{"resources":[{"uri":"file:///docs/a"},{"uri":"file:///etc/passwd"}]}`,
			`{"resources":[{"uri":"file:///docs/a"}]}`},
		"templates": {"resources/templates/list",
			`{"resourceTemplates":[{"uriTemplate":"file:///docs/{p}"},{"uriTemplate":"file:///{p}"}]}`,
			`{"resourceTemplates":[{"uriTemplate":"file:///docs/{p}"}]}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := p.FilterResult(alice, "slack", tc.method, []byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestFilterResultFailsClosed(t *testing.T) {
	p := mustParse(t, sample)
	for _, in := range []string{
		`{"tools":{"name":"x"}}`,
		`{"tools":[],"tools":[{"name":"x"}]}`,
		`{"tools":[],"Tools":[{"name":"x"}]}`,
		`[{"name":"x"}]`,
		`{"tools":[`,
	} {
		if got, err := p.FilterResult(user("mcp-user", ""), "slack", "tools/list", []byte(in)); err == nil {
			t.Errorf("%s passed as %s", in, got)
		}
	}
}

func TestItems(t *testing.T) {
	cases := []struct{ method, params, want string }{
		{"tools/call", `{"name":"a","arguments":{"name":"b"},"_meta":{"name":"c"}}`, "tool a"},
		{"tools/call", `{"n\u0061me":"a"}`, "tool a"},
		{"tools/call", `{"name":"a","name":"b"}`, "refused"},
		{"tools/call", `{"name":"a","Name":"b"}`, "refused"},
		{"tools/call", `{"name":"a","Arguments":{}}`, "refused"},
		{"tools/call", `{"name":7}`, "refused"},
		{"tools/call", `{}`, "refused"},
		{"tools/call", ``, "refused"},
		{"prompts/get", `{"name":"p"}`, "prompt p"},
		{"resources/read", `{"uri":"file:///a"}`, "resource file:///a"},
		{"resources/subscribe", `{"uri":"u"}`, "resource u"},
		{"completion/complete", `{"ref":{"type":"ref/prompt","name":"p"},"argument":{}}`, "prompt p"},
		{"completion/complete", `{"ref":{"type":"ref/resource","uri":"u"},"argument":{}}`, "resource u"},
		{"completion/complete", `{"ref":{"type":"ref/tool","name":"p"}}`, "refused"},
		{"subscriptions/listen", `{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["u"]}}`, "resource u"},
		{"subscriptions/listen", `{"notifications":{"resourceSubscriptions":"u"}}`, "refused"},
		{"ping", ``, ""},
		{"tasks/get", `{"taskId":"t"}`, "method tasks/get"},
		{"vendor/x", ``, "method vendor/x"},
		{"notifications/vendor", ``, "method notifications/vendor"},
	}
	for _, tc := range cases {
		items, err := policy.AppendItems(nil, tc.method, []byte(tc.params))
		got := ""
		if errors.Is(err, policy.ErrRequest) {
			got = "refused"
		} else if len(items) == 1 {
			got = items[0].Kind.String() + " " + items[0].Name
		}
		if got != tc.want {
			t.Errorf("%s %s: %q (%v), want %q", tc.method, tc.params, got, err, tc.want)
		}
	}
}

// FuzzItems holds the scanner against encoding/json: both must read the same
// name, or the scanner must refuse.
func FuzzItems(f *testing.F) {
	for _, s := range []string{`{"name":"a"}`, `{"name":"a","arguments":{"x":[1,"]}"]}}`, `{ "n\u0061me" : "\"" }`, `{"x":-1e5,"name":"a"}`, `{"name":"a","name":"b"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, params []byte) {
		if !json.Valid(params) {
			return
		}
		items, err := policy.AppendItems(nil, "tools/call", params)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(params, &want); err != nil {
			t.Fatalf("%s: read as a call of %q, but it is no object", params, items[0].Name)
		}
		var name string
		if err := json.Unmarshal(want["name"], &name); err != nil || name != items[0].Name && json.Valid([]byte(name)) {
			t.Errorf("%s: name %q, encoding/json reads %q", params, items[0].Name, name)
		}
		if string(items[0].Args) != string(want["arguments"]) {
			t.Errorf("%s: arguments %q, encoding/json reads %q", params, items[0].Args, want["arguments"])
		}
	})
}

func TestWhatOneCallerReadsIsNotSharedByACache(t *testing.T) {
	p := mustParse(t, sample)
	for in, want := range map[string]string{
		`{"contents":[{"text":"a","cacheScope":1}],"cacheScope":"public","ttlMs":9}`: `{"contents":[{"text":"a","cacheScope":1}],"cacheScope":"private","ttlMs":9}`,
		`{"contents":[]}`: `{"contents":[]}`,
		`{"contents":[{"text":"a"}],"cacheScope":"private","cacheScope":"public"}`: `{"contents":[]}`,
	} {
		if got, _ := p.FilterResult(user("", ""), "s", "resources/read", []byte(in)); string(got) != want ||
			!policy.Filters("resources/read") {
			t.Errorf("%s became %s", in, got)
		}
	}
}
