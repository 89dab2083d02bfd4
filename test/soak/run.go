package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/test/soak/internal/fault"
	"gatehouse/test/soak/internal/memory"
	"gatehouse/test/soak/internal/plan"
	"gatehouse/test/stack"
)

const (
	replicas       = 1 // of authsvc and the bridge, beyond the first
	startLimit     = 4 * time.Minute
	openLimit      = 2 * time.Minute  // until all have their first good answer
	recoverLimit   = 30 * time.Second // until all have one after a fault; up to 6 s of it are the callers' own pace
	logoutPromise  = 5 * time.Second
	childrenLeave  = 15 * time.Second // stop-time and kill-time, on a busy machine
	heapLimit      = 5 * time.Second
	profileEvery   = 10 * time.Minute
	childrenOfUser = 2 // that may stay warm, for requests without a session
)

// soak is one start of a run.
type soak struct {
	options
	book    *book
	weather *weather
	faults  *fault.Faults
	crowd   *crowd
	plan    plan.Plan
	begun   time.Time // of this start, once all callers are well
	before  time.Duration

	profiled [replicas + 1]time.Time // when each bridge was
}

func run(ctx context.Context, o options) (failed error) {
	book, err := openBook(o)
	if err != nil {
		return err
	}
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "gatehouse-soak-"); err != nil {
			return err
		}
		defer func() {
			if failed == nil {
				_ = os.RemoveAll(dir)
				return
			}
			fmt.Println("the gate's logs are in", dir)
		}()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fmt.Printf("soak: seed %d, %d sessions, %s of %s to go, from step %d; kept in %s\n",
		o.seed, o.sessions, (o.length - book.Spent).Round(time.Second), o.length, book.Step, o.state)
	s := &soak{options: o, book: book, weather: &weather{}, before: book.Spent}
	gate, err := s.open(ctx, dir)
	if err != nil {
		return err
	}
	defer gate.Close()
	err = s.all(ctx, gate)
	fmt.Print(book.report())
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("stopped at step %d; the same command goes on from there", book.Step)
	}
	// It is done: the next run of this seed is a new one.
	if err := os.Rename(o.state, o.state+".done"); err != nil {
		return err
	}
	if book.Broken > 0 {
		return errBroken
	}
	return nil
}

// open starts the gate.
func (s *soak) open(ctx context.Context, dir string) (*stack.Stack, error) {
	var env []string
	clock := ""
	if s.clock {
		var err error
		if env, clock, err = fault.Clock(dir); err != nil {
			return nil, err
		}
	}
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	gate, err := stack.Start(starting, stack.Options{
		Dir: dir, Bin: s.bin, Keycloak: s.keycloak, Replicas: replicas,
		Env: s.environment(env),
		Up:  func(p *stack.Part) { fmt.Printf("%-22s up in %.1f s\n", p.Name, p.Took().Seconds()) },
	})
	if err != nil {
		return nil, err
	}
	s.faults = &fault.Faults{Gate: gate, Child: filepath.Join(s.bin, "demo"), Clock: clock}
	s.plan = plan.Plan{Seed: s.seed, Short: s.short, Clocks: clock != "", Replicas: replicas}
	return gate, nil
}

// environment is that of the parts: a bridge tells what holds its memory.
func (s *soak) environment(keycloak []string) map[string][]string {
	env := map[string][]string{stack.Keycloak: keycloak}
	for n := range replicas + 1 {
		env[stack.Replica(stack.Bridge, n)] = []string{"BRIDGE_PPROF=true"}
	}
	return env
}

// all is the run on a gate that is up.
func (s *soak) all(ctx context.Context, gate *stack.Stack) (err error) {
	if s.crowd, err = gather(ctx, gate, s.options, s.weather, s.book); err != nil {
		return err
	}
	over := s.weather.begin(plan.Opening, "")
	opening := time.Now()
	s.crowd.start(context.WithoutCancel(ctx))
	ended := false
	defer func() {
		if !ended {
			s.crowd.end()
		}
	}()
	if err := s.well(ctx, plan.Opening, opening, openLimit); err != nil {
		return err
	}
	over()
	s.begun = time.Now()
	s.book.Started++
	s.weigh()
	for ctx.Err() == nil && s.spent() < s.length {
		if err := s.step(ctx, s.plan.At(s.book.Step)); err != nil {
			return err
		}
		s.book.Step++
		if err := s.book.save(s.spent()); err != nil {
			return err
		}
	}
	s.crowd.end()
	ended = true
	s.childrenGone()
	if ctx.Err() == nil {
		s.book.judgeMemory()
	}
	return s.book.save(s.spent())
}

func (s *soak) spent() time.Duration { return s.before + time.Since(s.begun) }

// step makes one fault, waits until all are well, and weighs the programs at rest.
func (s *soak) step(ctx context.Context, p plan.Step) error {
	who := ""
	user := s.crowd.lives[p.Which%len(s.crowd.lives)].user
	if p.Kind == plan.Logout {
		who = user.Name
	}
	over := s.weather.begin(p.Kind, who)
	began := time.Now()
	if p.Kind == plan.Logout {
		took, streams, err := s.crowd.signOut(ctx, user)
		if err != nil {
			return fmt.Errorf("step %d: log %s out: %w", p.N, user.Name, err)
		}
		if s.book.loggedOut(took); took > s.logoutLimit() {
			s.book.breach(fmt.Sprintf("a logout ends streams within %s: one of %d of %s was open for %.1f s",
				s.logoutLimit(), streams, user.Name, took.Seconds()))
		}
	} else if err := s.faults.Do(ctx, p); err != nil {
		return fmt.Errorf("step %d: %s: %w", p.N, p.Kind, err)
	}
	mended := time.Now()
	if err := s.well(ctx, p.Kind, mended, recoverLimit); err != nil {
		return err
	}
	over()
	fmt.Printf("%7.1f s  step %-4d %-24s replica %d, %4.1f s, all well %4.1f s later\n",
		s.spent().Seconds(), p.N, p.Kind, p.Replica, mended.Sub(began).Seconds(), time.Since(mended).Seconds())
	if sleep(ctx, p.Rest) {
		s.weigh()
	}
	return nil
}

// logoutLimit is the promise, and three times as much for the short run, which
// shares the machine with all other tests.
func (s *soak) logoutLimit() time.Duration {
	if s.short {
		return 3 * logoutPromise
	}
	return logoutPromise
}

// well waits until all callers are well, and says who is not.
func (s *soak) well(ctx context.Context, kind plan.Kind, since time.Time, within time.Duration) error {
	late := s.crowd.recovered(ctx, since, within)
	s.book.recovered(kind, time.Since(since))
	stopped := ctx.Err() != nil
	if len(late) == 0 || stopped {
		return nil //nolint:nilerr // who was stopped had no time to be well
	}
	var names []string
	for _, l := range late {
		names = append(names, fmt.Sprintf("%d (%s, %s)", l.number, l.era, l.user.Name))
	}
	s.book.breach(fmt.Sprintf("all are well within %s of a fault: %s, step %d: %d are not: %.300s",
		within, kind, s.book.Step, len(late), strings.Join(names, ", ")))
	if late := s.crowd.recovered(ctx, since, within); len(late) > 0 {
		return fmt.Errorf("%d callers never came back after: %s", len(late), kind)
	}
	return nil
}

// weigh enters what each program holds at rest: nginx with those workers that
// are not on their way out, the others without their children.
func (s *soak) weigh() {
	for _, part := range s.faults.Gate.Parts() {
		pid := part.Pid()
		pids := []int{pid}
		switch part.Name {
		case stack.Keycloak:
			continue // not ours, and the JVM's heap is its own affair
		case stack.Nginx:
			for _, p := range memory.Below(pid) {
				if !strings.Contains(p.Title, "shutting down") {
					pids = append(pids, p.PID)
				}
			}
		}
		s.book.weigh(part.Name, pid, s.spent(), memory.Resident(pids...))
	}
	for n := range replicas + 1 {
		s.weighHeap(n)
	}
}

// weighHeap enters what lives in the nth bridge, and keeps a profile of it now
// and then. A bridge that gives no answer is entered at the next time.
func (s *soak) weighHeap(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), heapLimit)
	defer cancel()
	name, at := stack.Replica(stack.Bridge, n), s.faults.Gate.BridgeAdmin(n)
	pid := s.faults.Gate.Part(name).Pid()
	heap, err := memory.Of(ctx, at+"/metrics")
	if err != nil {
		return
	}
	if heap.Live > 0 { // it has been collected
		s.book.weigh(name+" heap", pid, s.spent(), heap.Live)
	}
	s.book.account(fmt.Sprintf("%s %d", name, pid), s.spent(), memory.Resident(pid), heap)
	if s.keep == "" || time.Since(s.profiled[n]) < profileEvery {
		return
	}
	s.profiled[n] = time.Now()
	file := filepath.Join(s.keep, fmt.Sprintf("%s-%d-%.0f.heap", name, pid, s.spent().Seconds()))
	if err := memory.Save(ctx, at+"/debug/pprof/heap", file); err != nil {
		fmt.Fprintln(os.Stderr, "soak: no profile:", err)
	}
}

// childrenGone waits until the children of all sessions have ended.
func (s *soak) childrenGone() {
	most := childrenOfUser * max(2, s.sessions/s.each) * (replicas + 1)
	left := 0
	for end := time.Now().Add(childrenLeave); time.Now().Before(end); sleep(context.Background(), 200*time.Millisecond) {
		left = 0
		for _, part := range s.faults.Gate.Parts() {
			left += len(s.faults.Children(part))
		}
		if left <= most {
			fmt.Printf("all sessions are closed: %d children stay warm for requests without one\n", left)
			return
		}
	}
	s.book.breach(fmt.Sprintf("children end with their sessions: %d are left, %d may be", left, most))
}
