package stateless_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/bridge/internal/fleet"
	"gatehouse/bridge/internal/stateless"
	"gatehouse/internal/contract"
)

// held makes a call that its first child never answers, and tells which child
// that is.
func (g *gate) held(t *testing.T, all *sync.WaitGroup, method, params, file string) (answer *reply, pid string) {
	t.Helper()
	answer = &reply{}
	all.Go(func() { *answer = g.call(t, "alice", fmt.Sprintf("%q", file), method, params, `{}`) })
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(file)
		if err == nil {
			return answer, string(text)
		}
		if time.Now().After(end) {
			t.Fatalf("%s with %s has not reached a child", method, params)
		}
	}
}

func (g *gate) heldTool(t *testing.T, all *sync.WaitGroup, name string) (answer *reply, pid string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "held")
	return g.held(t, all, "tools/call", fmt.Sprintf(`"name":%q,"arguments":{"file":%q},`, name, file), file)
}

// TestACrashFailsOnlyWhatMayNotRunTwice: beside the call that ends the child,
// what only reads is answered by another; the rest is told what happened.
func TestACrashFailsOnlyWhatMayNotRunTwice(t *testing.T) {
	g := open(t, nil)
	var all sync.WaitGroup
	file := filepath.Join(t.TempDir(), "resource")
	resource, first := g.held(t, &all, "resources/read", fmt.Sprintf(`"uri":"file://%s",`, file), file)
	reads, _ := g.heldTool(t, &all, "hold reads")
	twice, _ := g.heldTool(t, &all, "hold twice")
	writes, same := g.heldTool(t, &all, "hold writes")
	if first != same {
		t.Fatalf("the calls are with the children %s and %s", first, same)
	}
	died := g.call(t, "alice", "1", "tools/call", `"name":"die","arguments":{},`, `{}`)
	all.Wait()
	for what, a := range map[string]*reply{"a resource": resource, "a reader": reads, "an idempotent tool": twice} {
		if pid := fmt.Sprint(a.Result["pid"]); a.Error != nil || pid == first || pid == "<nil>" {
			t.Errorf("%s is answered %+v, by the child %s after %s", what, a, pid, first)
		}
	}
	for what, a := range map[string]*reply{"the cause": &died, "a writer": writes} {
		if a.Error == nil || !strings.Contains(a.Error.Message, "exit status 3") ||
			!strings.Contains(a.Error.Message, "the call may have run") {
			t.Errorf("%s is answered %+v", what, a)
		}
	}
}

// TestTheNextCrashHitsItsCauseAlone: after one, calls in parallel have a child
// each, and no more of them are started than there are calls.
func TestTheNextCrashHitsItsCauseAlone(t *testing.T) {
	g := open(t, nil)
	g.call(t, "alice", "1", "tools/call", `"name":"die","arguments":{},`, `{}`)
	var all sync.WaitGroup
	first, one := g.heldTool(t, &all, "hold writes")
	second, other := g.heldTool(t, &all, "hold writes")
	if one == other {
		t.Errorf("both calls are with the child %s", one)
	}
	begun := g.server.Stats.Started.Load()
	for n := range 5 { // one after another: one child more serves them
		if pid := fmt.Sprint(g.pid(t, "alice")); pid == one || pid == other {
			t.Errorf("call %d came to the child %s", n, pid)
		}
	}
	if more := g.server.Stats.Started.Load() - begun; more != 1 {
		t.Errorf("%d children were started for 5 calls", more)
	}
	g.call(t, "alice", "2", "tools/call", `"name":"die","arguments":{},`, `{}`)
	if first.Error != nil || second.Error != nil {
		t.Errorf("the calls beside it are answered %+v, %+v", first, second)
	}
	if g.pid(t, "bob") == nil {
		t.Error("another identity has no child")
	}
	g.front.Close()
	_ = g.server.Close(t.Context())
	all.Wait()
}

// ailing is a pool of which each child but the first ends as soon as it is handed
// out, or is of no use otherwise: the second try of a call meets that one.
type ailing struct {
	*fleet.Pool
	spoil func(*fleet.Lease)
	given int
}

func (a *ailing) AcquireModern(ctx context.Context, id *contract.Identity, may func() error) (*fleet.Lease, error) {
	lease, err := a.Pool.AcquireModern(ctx, id, may)
	if a.given++; err == nil && a.given > 1 {
		a.spoil(lease)
	}
	return lease, err
}

// TestASecondTryThatMeetsADeadChild is answered with the end of the first: the
// second child may end, too, before it has the call.
func TestASecondTryThatMeetsADeadChild(t *testing.T) {
	pool := &ailing{spoil: func(l *fleet.Lease) { l.Conn.Kill(); <-l.Conn.Done() }}
	g := openOver(t, "older", nil, func(p *fleet.Pool) stateless.Pool { pool.Pool = p; return pool }, nil)
	file := filepath.Join(t.TempDir(), "resource")
	var all sync.WaitGroup
	answer, first := g.held(t, &all, "resources/read", fmt.Sprintf(`"uri":"file://%s",`, file), file)
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	process, _ := os.FindProcess(pid) // it never fails on Unix
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if answer.Error == nil || !strings.Contains(answer.Error.Message, "the server ended") {
		t.Errorf("the call is answered %+v", answer)
	}
	pool.spoil = func(*fleet.Lease) {}
	if g.pid(t, "alice") == nil {
		t.Error("no further call finds a child")
	}
}
