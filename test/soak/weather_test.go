package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gatehouse/test/soak/internal/caller"
	"gatehouse/test/soak/internal/plan"
)

func TestJudge(t *testing.T) {
	hour := time.Now()
	at := func(minute float64) time.Time { return hour.Add(time.Duration(minute * float64(time.Minute))) }
	w := &weather{spans: []*span{
		{kind: plan.RedisHang, from: at(10), to: at(12)},
		{kind: plan.BridgeKill, from: at(20), to: at(22), cuts: true, cutsUntil: at(20)},
		{kind: plan.NginxReload, from: at(30), to: at(30.1), cuts: true, cutsUntil: at(31)},
		{kind: plan.Logout, who: "bob", from: at(40), to: at(42), cuts: true, cutsUntil: at(40)},
		{kind: plan.KeycloakHang, from: at(50)}, // still on
	}}
	cut, refused := &caller.Cut{Err: errors.New("EOF")}, &caller.Refused{Status: 503}
	for _, tc := range []struct {
		name     string
		err      error
		from, to float64
		who      string
		broken   bool
	}{
		{"a good answer", nil, 1, 2, "alice", false},
		{"a refusal in fair weather", refused, 1, 2, "alice", true},
		{"a refusal as the fault begins", refused, 9, 10.5, "alice", false},
		{"a refusal as it ends", fmt.Errorf("open: %w", refused), 11.9, 13, "alice", false},
		{"a refusal after it", refused, 12.1, 13, "alice", true},
		{"a limit, at any time", &caller.Refused{Status: 429}, 1, 2, "alice", false},
		{"a cut by a Redis that hangs", cut, 10, 11, "alice", true},
		{"a cut by a bridge that was killed", cut, 20, 21, "alice", false},
		{"a cut long after it", cut, 23, 24, "alice", true},
		{"a cut by the last of an old worker", cut, 30.5, 30.9, "alice", false},
		{"a refusal at that time", refused, 30.5, 30.9, "alice", true},
		{"a session whose stream was cut then", &caller.Refused{Status: 404}, 30.5, 30.9, "alice", false},
		{"what a login had open", cut, 40, 41, "bob", false},
		{"what another had open", cut, 40, 41, "alice", true},
		{"a fault that goes on", refused, 60, 61, "alice", false},
		{"a wrong answer in the worst weather", &caller.Wrong{}, 20, 21, "alice", true},
		{"no answer in the worst weather", fmt.Errorf("%w: x", caller.ErrSilent), 20, 21, "alice", true},
		{"no reason in the worst weather", &caller.Nameless{Status: 502}, 20, 21, "alice", true},
		{"no token while Keycloak hangs", caller.ErrNoToken, 50, 51, "alice", false},
		{"no token in fair weather", caller.ErrNoToken, 1, 2, "alice", true},
	} {
		if _, broken := w.judge(tc.err, tc.who, at(tc.from), at(tc.to)); (broken != "") != tc.broken {
			t.Errorf("%s: broken %q, want %v", tc.name, broken, tc.broken)
		}
	}
}
