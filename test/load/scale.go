package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/contract"
	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
	"gatehouse/test/load/internal/wire"
)

// scale is what part scale makes: many sessions that mostly sleep.
type scale struct {
	sessions int
	active   int    // at once
	server   string // everything, or child for the fast one
	sleep    time.Duration
	children int    // at once, at most
	told     string // what a child is told of its user: user, or none, and any child does for anybody
}

func (s *scale) flags(fs *flag.FlagSet) {
	fs.IntVar(&s.sessions, "scale", 10000, "sessions of part scale")
	fs.IntVar(&s.active, "active", 50, "sessions of part scale that call at once")
	fs.StringVar(&s.server, "server", "everything", "server of part scale: everything (npm), or child (the fast one)")
	fs.DurationVar(&s.sleep, "sleep", 15*time.Second, "--sleep of the bridge of part scale")
	fs.StringVar(&s.told, "told", "user", "\"identity\" of the server of part scale: user or none")
	fs.IntVar(&s.children, "children", 150, "--max-children of the bridge of part scale")
}

const (
	scaleEach    = 50               // sessions of one user
	scaleStay    = 60 * time.Second // of a session that is active, on average
	scalePause   = 2 * time.Second  // between two of its calls, on average
	scaleOpeners = 4
	scaleTimeout = time.Minute
)

// partScale opens many sessions of many users, each with its standing stream as
// the official clients have it. Then so many call at once, each for a while, and
// another in its place.
func partScale(ctx context.Context, b *bench) error {
	run := &scaleRun{scale: b.scale, bench: b}
	auth, err := newAuthority(ctx)
	if err != nil {
		return err
	}
	defer auth.close()
	if run.admin, err = proc.FreeAddr(); err != nil {
		return err
	}
	argv, err := run.argv(auth.url + contract.PathKeys)
	if err != nil {
		return err
	}
	if run.bridge, err = b.start(ctx, "bridge", argv); err != nil {
		return err
	}
	if err := run.open(ctx, auth); err != nil {
		return err
	}
	if err := run.call(ctx, b.hold); err != nil {
		return err
	}
	text, err := run.report()
	if err != nil {
		return err
	}
	fmt.Print(text)
	return report.Write(b.out, "scale "+run.server, text)
}

// scaleRun is one run, and what it measures.
type scaleRun struct {
	scale
	bench  *bench
	admin  string
	bridge *proc.Proc

	mu     sync.Mutex
	seats  []*caller.Seat  // nobody is in them now
	burst  []time.Duration // wakes of those that begin together
	wakes  []time.Duration
	calls  []time.Duration
	counts [5]int
	fault  error // the first

	empty, asleep, most proc.Usage // the bridge with all below it: before, when all sleep, at most
	own                 [3]int     // RSS of the bridge alone, in KB: before, when all sleep, at most
	opening, calling    time.Duration
	used                time.Duration // CPU of all while it calls
	alive               []int         // children, each second
	left                int           // sessions that are open at the end
}

func (r *scaleRun) argv(keys string) ([]string, error) {
	command := []string{r.bench.child()}
	if r.server == "everything" {
		command = []string{"node", filepath.Join(filepath.Dir(r.bench.tools),
			"servers/npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js")}
	}
	entry := map[string]any{
		"command": command[0], "args": command[1:],
		"gatehouse": map[string]any{"sleep": r.sleep.String(), "identity": r.told},
	}
	file, err := json.Marshal(map[string]any{"mcpServers": map[string]any{r.server: entry}})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(r.bench.dir, "mcp.json")
	return []string{
		r.bench.bridge(), "--listen", "%ADDR%", "--admin-listen", r.admin, "--log-level", "warn",
		"--identity", "signed", "--identity-keys", keys, "--session-idle", "4h",
		"--max-sessions", strconv.Itoa(r.sessions + 10), "--max-children", strconv.Itoa(r.children), "--config", path,
	}, os.WriteFile(path, file, 0o600)
}

// open opens all sessions, and waits until they sleep.
func (r *scaleRun) open(ctx context.Context, auth *authority) error {
	time.Sleep(2 * time.Second) // the child of the bridge's own check has ended
	if err := r.weigh(&r.empty, &r.own[0]); err != nil {
		return err
	}
	began := time.Now()
	users := make(chan int)
	faults := make(chan error, scaleOpeners)
	var all sync.WaitGroup
	for range scaleOpeners {
		all.Go(func() {
			for user := range users {
				if err := r.openUser(auth, user); err != nil {
					faults <- err
					return
				}
			}
		})
	}
	err := r.feed(ctx, users, faults)
	all.Wait()
	if err != nil {
		return err
	}
	r.opening = time.Since(began)
	progress(fmt.Sprintf("%d sessions are open after %v", len(r.seats), r.opening.Round(time.Second)))
	for gaugeAt(r.admin, "gatehouse_sessions_asleep") < float64(r.sessions) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	time.Sleep(5 * time.Second) // the last children end, and memory is collected
	return r.weigh(&r.asleep, &r.own[1])
}

func (r *scaleRun) feed(ctx context.Context, users chan<- int, faults <-chan error) error {
	defer close(users)
	for user := range (r.sessions + scaleEach - 1) / scaleEach {
		select {
		case users <- user:
		case err := <-faults:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// openUser opens the sessions of one user.
func (r *scaleRun) openUser(auth *authority, user int) error {
	headers, err := auth.header(user)
	if err != nil {
		return err
	}
	lines := ""
	for name, value := range headers {
		lines += name + ": " + value + "\r\n"
	}
	target := wire.Target{Addr: r.bridge.Addr}
	post := wire.New(target, scaleTimeout)
	defer post.Close()
	for i := range min(scaleEach, r.sessions-user*scaleEach) {
		seat, err := caller.Take(post, lines)
		if err != nil {
			return fmt.Errorf("session %d of user %d: %w", i, user, err)
		}
		if err := seat.Listen(wire.New(target, scaleTimeout)); err != nil { // open to the end of the program
			return fmt.Errorf("stream %d of user %d: %w", i, user, err)
		}
		r.mu.Lock()
		r.seats = append(r.seats, seat)
		r.mu.Unlock()
	}
	return nil
}

// call lets so many sessions be active at once for the time.
func (r *scaleRun) call(ctx context.Context, hold time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	began := time.Now()
	before, err := proc.Measure(r.bridge)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for i := range r.active {
		rng := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // the same run each time
		all.Go(func() { r.sit(ctx, rng, i) })
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			r.watch()
		case <-ctx.Done():
		}
	}
	all.Wait()
	r.calling = time.Since(began)
	after, err := proc.Measure(r.bridge)
	r.used = after.Sub(before).CPU
	r.left = int(gaugeAt(r.admin, "gatehouse_sessions"))
	return err
}

// sit is one who is active: in a session that nobody is in, then in another.
// Those that begin together leave one after the other.
func (r *scaleRun) sit(ctx context.Context, rng *rand.Rand, place int) {
	conn := wire.New(wire.Target{Addr: r.bridge.Addr}, scaleTimeout)
	defer conn.Close()
	stay := scaleStay * time.Duration(place+1) / time.Duration(r.active)
	for wakes := &r.burst; ctx.Err() == nil; wakes = &r.wakes {
		seat := r.take(rng)
		until := time.Now().Add(stay)
		for times := wakes; ctx.Err() == nil && time.Now().Before(until); times = &r.calls {
			began := time.Now()
			verdict, err := seat.Call(conn)
			r.note(times, time.Since(began), verdict, err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(rng.Float64() * 2 * float64(scalePause))):
			}
		}
		r.mu.Lock()
		r.seats = append(r.seats, seat)
		r.mu.Unlock()
		stay = time.Duration((0.5 + rng.Float64()) * float64(scaleStay))
	}
}

func (r *scaleRun) take(rng *rand.Rand) *caller.Seat {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, last := rng.IntN(len(r.seats)), len(r.seats)-1
	seat := r.seats[at]
	r.seats[at] = r.seats[last]
	r.seats = r.seats[:last]
	return seat
}

func (r *scaleRun) note(times *[]time.Duration, took time.Duration, verdict caller.Verdict, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[verdict]++
	if verdict != caller.Good && r.fault == nil {
		r.fault = err
		progress("fault: " + err.Error())
	}
	*times = append(*times, took)
}

// watch looks at the memory of all and at the children.
func (r *scaleRun) watch() {
	var now proc.Usage
	var own int
	if r.weigh(&now, &own) != nil {
		return // what ended meanwhile
	}
	if now.RSSKB > r.most.RSSKB {
		r.most = now
	}
	r.own[2] = max(r.own[2], own)
	started := gaugeAt(r.admin, "gatehouse_children_started_total")
	r.alive = append(r.alive, int(started-gaugeAt(r.admin, "gatehouse_children_ended_total")))
}

func (r *scaleRun) weigh(all *proc.Usage, own *int) (err error) {
	if *all, err = proc.Measure(r.bridge); err != nil {
		return err
	}
	*own, err = proc.Resident(r.bridge)
	return err
}
