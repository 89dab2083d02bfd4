// Package guard stands between the fronts and every child: it asks the policy
// about each call, filters lists, counts limits, and tells the audit log and
// the metrics what became of it.
//
// It is the one place in which policy, audit and telemetry meet a session's
// call, so no front can pass them by. It must never know HTTP or the text of a
// policy file.
package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/bridge/internal/audit"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/policy"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/telemetry"
	"gatehouse/internal/contract"
	"gatehouse/internal/httpkit"
	"gatehouse/internal/tracing"
)

// CodeRefused is the JSON-RPC code of a call that the policy refuses.
const CodeRefused = -32003

// Guard implements mux.Guard. Nil fields switch their part off.
type Guard struct {
	Policy           *atomic.Pointer[policy.Policy] // its value may be replaced at any time
	Limits           *policy.Limits
	Audit            *audit.Sink
	Metrics          *telemetry.Metrics
	Tracer           *tracing.Tracer
	ResourceMetadata string // URL for the challenge (RFC 9728, 5.1), or ""
}

var (
	_ mux.Guard    = (*Guard)(nil)
	_ mux.Recorder = (*Guard)(nil)
)

// Begin decides about a call.
func (g *Guard) Begin(ctx context.Context, call *mux.CallInfo) (mux.Watch, error) {
	w := g.see(ctx, call)
	if g.Tracer != nil {
		w.traceCall(ctx, call)
	}
	if err := w.admitAll(ctx, call); err != nil {
		return nil, err
	}
	return w, nil
}

// Again decides about a call that waited for its client, or that has not begun
// yet. A refusal is written down; the rest was when the call began, or is then.
func (g *Guard) Again(ctx context.Context, call *mux.CallInfo) error {
	if g.Policy == nil {
		return nil
	}
	w := g.see(ctx, call)
	w.counted, w.ahead = true, call.Ahead
	return w.admitAll(ctx, call)
}

// Refused writes down what was refused before Begin could be asked.
func (g *Guard) Refused(ctx context.Context, call *mux.CallInfo, status string) {
	w := g.see(ctx, call)
	var one [1]policy.Item
	if items, err := policy.AppendItems(one[:0], call.Method, call.Message.Params()); err == nil && len(items) > 0 {
		w.names(items[0])
		w.arguments(items[0].Args, false)
	}
	if g.Metrics != nil {
		g.Metrics.Refused(status, "")
	}
	if g.Audit != nil {
		w.record.Outcome = status
		g.Audit.Write(&w.record)
	}
}

func (g *Guard) see(ctx context.Context, call *mux.CallInfo) *watch {
	w := &watch{guard: g, caller: call.Caller}
	w.record = audit.Record{
		Time: time.Now(), Program: "bridge", Session: call.Caller.Session,
		User: call.Caller.Identity.Subject, UserEmail: call.Caller.Identity.Email,
		Server: call.Caller.Server, Method: call.Method, Era: call.Caller.Era, BytesIn: len(call.Message.Line),
		Credential: call.Credential,
	}
	if g.Audit != nil || g.Tracer != nil {
		w.record.RequestID = httpkit.RequestID(ctx)
	}
	if g.Policy != nil {
		w.policy = g.Policy.Load()
	}
	return w
}

func (w *watch) admitAll(ctx context.Context, call *mux.CallInfo) error {
	var one [1]policy.Item // most calls are about one
	items, err := policy.AppendItems(one[:0], call.Method, call.Message.Params())
	if err != nil {
		return w.refuse("invalid", "", &rpc.Error{Code: rpc.CodeInvalidParams, Message: err.Error()})
	}
	for _, item := range items {
		if err := ctx.Err(); err != nil {
			w.Release()
			return err
		}
		if err := w.admit(item); err != nil {
			return err
		}
	}
	return nil
}

// watch is one call, from Begin to End.
type watch struct {
	guard  *Guard
	policy *policy.Policy // the one that decided; a reload does not reach it
	caller *mux.Caller
	done   []func() // give back the limits taken

	counted bool // the limits take nothing now: they did, or will, when the call begins
	ahead   bool // they will

	toolFailed bool // says the tool itself

	span   *tracing.Span // nil without a Tracer
	record audit.Record
}

func (w *watch) admit(item policy.Item) error {
	w.names(item)
	d := policy.Decision{Outcome: policy.Allowed}
	var wait time.Duration
	if w.policy != nil {
		id := w.caller.Identity
		d = w.policy.Decide(id, w.caller.Server, item.Kind, item.Name, item.Args)
		if w.guard.Limits != nil && !w.counted {
			var done func()
			if d, wait, done = w.guard.Limits.Take(d, id.Subject, w.caller.Server, item.Kind, item.Name); done != nil {
				w.done = append(w.done, done)
			}
		}
		if w.guard.Limits != nil && w.ahead {
			d, wait = w.guard.Limits.Room(d, id.Subject, w.caller.Server, item.Kind, item.Name)
		}
	}
	w.record.Rule = d.Rule
	w.arguments(item.Args, d.LogArguments)
	if d.Outcome == policy.Allowed {
		return nil
	}
	return w.refuse(d.Outcome.String(), d.Rule, refusal(w.caller.Identity, item, d, wait, w.guard.ResourceMetadata))
}

// names writes down what the call is about.
func (w *watch) names(item policy.Item) {
	w.record.Kind = item.Kind.String()
	if item.Kind != policy.Method { // its name stands there already
		w.record.Tool = item.Name
	}
}

// maxHidden bounds what waits to be hashed with the line; longer arguments are
// hashed at once.
const maxHidden = 1 << 10

func (w *watch) arguments(args []byte, log bool) {
	switch {
	case w.guard.Audit == nil || len(args) == 0:
	case log:
		w.record.Args = slices.Clone(args)
	case len(args) > maxHidden:
		w.record.ArgsHash = w.guard.Audit.Hash(args)
	default:
		w.record.Hidden = slices.Clone(args)
	}
}

func (w *watch) refuse(outcome, rule string, err error) error {
	if w.guard.Metrics != nil {
		w.guard.Metrics.Refused(outcome, rule)
	}
	w.Release()
	w.finish(outcome, 0)
	return err
}

// refusal is the error of a call that is not allowed. Its data name the rule,
// so that a user can ask for what is missing.
func refusal(id *contract.Identity, item policy.Item, d policy.Decision, wait time.Duration, metadata string) error {
	data, _ := json.Marshal(struct {
		Reason string   `json:"reason"`
		Rule   string   `json:"rule"`
		Scopes []string `json:"scopes,omitempty"`
	}{d.Outcome.String(), d.Rule, d.Scopes})
	e := &rpc.Error{Code: CodeRefused, Data: data}
	switch d.Outcome {
	case policy.Limited:
		e.Code = rpc.CodeBusy
		e.Message = fmt.Sprintf("%s: the limit of rule %s is reached", item.Kind, d.Rule)
		if wait > 0 {
			e.Message += fmt.Sprintf("; try again in %d s", int(wait/time.Second)+1)
		}
	case policy.MissingScope:
		e.Message = fmt.Sprintf("%s: rule %s asks for the scope %s", item.Kind, d.Rule, strings.Join(d.Scopes, " "))
		return &mux.ScopeError{RPC: e, Challenge: Challenge(id, d.Scopes, metadata)}
	default:
		e.Message = fmt.Sprintf("%s: not allowed by rule %s", item.Kind, d.Rule)
	}
	return e
}

// Challenge names the scopes that the caller has and those that it needs, so
// that stepping up does not give up what was granted before (2025-11-25,
// authorization, runtime insufficient scope errors).
func Challenge(id *contract.Identity, need []string, metadata string) string {
	scopes := slices.Clone(need)
	for _, s := range id.Scopes {
		if !slices.Contains(scopes, s) && !strings.ContainsAny(s, `"\`) {
			scopes = append(scopes, s)
		}
	}
	c := `Bearer error="insufficient_scope", scope="` + strings.Join(scopes, " ") + `"`
	if metadata != "" {
		c += `, resource_metadata="` + metadata + `"`
	}
	return c
}

// Result filters the answers to list methods. A list that cannot be read
// becomes an empty one: better nothing than what the caller may not see.
func (w *watch) Result(raw []byte) []byte {
	w.toolFailed = w.record.Method == "tools/call" && isError(raw)
	if !policy.Filters(w.record.Method) {
		return raw
	}
	if w.guard.Metrics != nil {
		policy.ListedNames(w.record.Method, raw, func(kind policy.Kind, name string) {
			if kind == policy.Tool {
				w.guard.Metrics.Listed(w.caller.Server, name)
			}
		})
	}
	if w.policy == nil {
		return raw
	}
	kept, err := w.policy.FilterResult(w.caller.Identity, w.caller.Server, w.record.Method, raw)
	if err != nil {
		w.record.Rule = "unreadable"
	}
	return kept
}

// isError reports whether a tool says of itself that it failed: such an answer
// is a success of JSON-RPC (2025-11-25, server/tools, "Error Handling").
func isError(result []byte) bool {
	name := []byte(`"isError"`)
	if !bytes.Contains(result, name) {
		return false
	}
	failed := false
	_ = rpc.EachMember(result, func(key, value rpc.Span) error { // what cannot be read says nothing
		if bytes.Equal(result[key.Start:key.End], name) {
			failed = string(result[value.Start:value.End]) == "true"
		}
		return nil
	})
	return failed
}

// Release gives back what the limits took.
func (w *watch) Release() {
	for _, done := range w.done {
		done()
	}
	w.done = nil
}

// End writes the call down. A tool's own failure has the word that the
// OpenTelemetry conventions for MCP give it.
func (w *watch) End(o mux.Outcome) {
	if o.Status == "ok" && w.toolFailed {
		o.Status = "tool_error"
	}
	w.finish(o.Status, o.Bytes)
}

func (w *watch) finish(outcome string, bytes int) {
	took := time.Since(w.record.Time)
	failed := outcome
	if outcome == "ok" {
		failed = ""
	}
	if w.span != nil {
		w.endSpan(outcome, failed)
	}
	if m := w.guard.Metrics; m != nil {
		tool := ""
		if w.record.Kind == policy.Tool.String() {
			tool = w.record.Tool
		}
		m.Operation(w.caller.Server, w.caller.Era, w.record.Method, tool, failed, took)
	}
	if w.guard.Audit != nil {
		w.record.Outcome, w.record.BytesOut = outcome, bytes
		w.record.Millis = float64(took.Microseconds()) / 1000
		w.guard.Audit.Write(&w.record)
	}
}
