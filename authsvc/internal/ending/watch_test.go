package ending

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/keycloak"
	"gatehouse/authsvc/internal/session"
	"gatehouse/authsvc/internal/session/memstore"
)

type events struct {
	mu    sync.Mutex
	all   []keycloak.Ending
	asked int
	most  int // at one look; 0 for all

	unsaved error
	away    error
}

func (e *events) Endings(
	_ context.Context, since time.Time, known func(string) bool,
) (found []keycloak.Ending, until time.Time, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	if e.away != nil {
		return nil, until, e.away
	}
	for _, one := range e.all {
		switch {
		case one.Time.Before(since) || known(one.ID):
		case e.most > 0 && len(found) == e.most:
			return found, found[e.most-1].Time, nil
		default:
			found = append(found, one)
		}
	}
	return found, until, nil
}

func (e *events) Saved(context.Context) error { return e.unsaved }

// Where the provider keeps no record of endings the log says so, once a minute.
func TestWatchSaysThatNothingIsSaved(t *testing.T) {
	clock := time.Unix(1e9, 0)
	now := func() time.Time { return clock }
	var said bytes.Buffer
	w := &Watch{
		Events: &events{unsaved: keycloak.ErrNotSaved}, Store: memstore.New(now, 0), Every: 2 * time.Second, Now: now,
		Log: zerolog.New(&said),
	}
	for range 40 {
		if err := w.once(t.Context(), []byte("me")); err != nil {
			t.Fatal(err)
		}
		clock = clock.Add(2 * time.Second)
	}
	if got := strings.Count(said.String(), keycloak.ErrNotSaved.Error()); got != 2 {
		t.Errorf("said %d times in 80 s, want 2: %s", got, said.String())
	}
}

// watches makes replicas that share a store, and counts each session that ends.
func watches(source *events, now func() time.Time) (watch func() *Watch, ended map[string]int) {
	store := memstore.New(now, 0)
	endings := session.NewEndings(store, time.Hour, time.Hour, now, zerolog.Nop())
	ended = map[string]int{}
	endings.OnEnd(func(id string) { ended[id]++ })
	sessions := &session.Sessions{
		Store: store, Box: session.NewBox([]byte("secret"), "index"), Endings: endings, Now: now, Log: zerolog.Nop(),
		Ages: session.Ages{Absolute: time.Hour, Idle: time.Hour, Tokens: time.Hour},
	}
	return func() *Watch {
		return &Watch{
			Events: source, Sessions: sessions, Store: store, Every: 2 * time.Second, Now: now, Log: zerolog.Nop(),
		}
	}, ended
}

// Two replicas ask by turns; what ended before their first look is past, each
// later ending counts once.
func TestWatchEndsOnce(t *testing.T) {
	clock := time.Unix(1e9, 0)
	now := func() time.Time { return clock }
	source := &events{all: []keycloak.Ending{{ID: "old", SID: "before", Time: clock}}}
	watch, ended := watches(source, now)
	replicas := [2]*Watch{watch(), watch()}
	look := func() {
		t.Helper()
		for i, r := range replicas {
			if err := r.once(t.Context(), []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		clock = clock.Add(2 * time.Second)
	}
	look()
	source.all = append(source.all, keycloak.Ending{ID: "new", SID: "after", Time: clock})
	for range 5 {
		look()
	}
	if ended["before"] != 0 || ended["after"] != 1 {
		t.Errorf("ended %v, want what came after the first look, once", ended)
	}
	if source.asked != 6 {
		t.Errorf("Keycloak was asked %d times in 6 looks of two replicas", source.asked)
	}
}

// TestWatchLosesNoneOfMany: what one look does not take, the next ones do, each
// once, however long that takes.
func TestWatchLosesNoneOfMany(t *testing.T) {
	clock := time.Unix(1e9, 0)
	now := func() time.Time { return clock }
	source := &events{most: 3}
	watch, ended := watches(source, now)
	w := watch()
	look := func() {
		t.Helper()
		if err := w.once(t.Context(), []byte("me")); err != nil {
			t.Fatal(err)
		}
		clock = clock.Add(2 * time.Second)
	}
	look()
	const many = 400 // in 400 s, as after an outage; 133 looks, 266 s
	for n := range many {
		source.all = append(source.all, keycloak.Ending{
			ID: fmt.Sprint(n), SID: fmt.Sprintf("session %d", n), Time: clock.Add(time.Duration(n) * time.Second),
		})
	}
	clock = clock.Add(many * time.Second)
	for range many/3 + 2 {
		look()
	}
	for n := range many {
		if times := ended[fmt.Sprintf("session %d", n)]; times != 1 {
			t.Fatalf("session %d was ended %d times", n, times)
		}
	}
}

// TestWatchHearsWhatEndedInALongOutage of the provider, which took longer than
// anybody should need, and not as long as it keeps its events.
func TestWatchHearsWhatEndedInALongOutage(t *testing.T) {
	clock := time.Unix(1e9, 0)
	now := func() time.Time { return clock }
	source := &events{}
	watch, ended := watches(source, now)
	w := watch()
	if err := w.once(t.Context(), []byte("me")); err != nil {
		t.Fatal(err)
	}
	source.away = errors.New("out of reach")
	for range 6 * 24 {
		clock = clock.Add(time.Hour)
		source.all = append(source.all, keycloak.Ending{ID: clock.String(), SID: clock.String(), Time: clock})
		if err := w.once(t.Context(), []byte("me")); err == nil {
			t.Fatal("it read what is away")
		}
	}
	source.away, clock = nil, clock.Add(2*time.Second)
	if err := w.once(t.Context(), []byte("me")); err != nil {
		t.Fatal(err)
	}
	if len(ended) != 6*24 {
		t.Errorf("%d endings of %d were heard", len(ended), 6*24)
	}
}

// TestWatchSaysWhatItMayHaveMissed: not at the first look, and with its times
// where the events of an outage are gone, or the store has forgotten.
func TestWatchSaysWhatItMayHaveMissed(t *testing.T) {
	clock := time.Unix(1e9, 0).UTC()
	now := func() time.Time { return clock }
	watch, _ := watches(&events{}, now)
	w := watch()
	var said bytes.Buffer
	w.Log = zerolog.New(&said)
	look := func(after time.Duration) (before time.Time, log string) {
		t.Helper()
		before, clock = clock, clock.Add(after)
		said.Reset()
		if err := w.once(t.Context(), []byte("me")); err != nil {
			t.Fatal(err)
		}
		return before, said.String()
	}
	for _, after := range []time.Duration{0, 2 * time.Second, 6 * 24 * time.Hour} {
		if _, log := look(after); strings.Contains(log, "warn") {
			t.Errorf("after %s it says %s", after, log)
		}
	}
	before, log := look(9 * 24 * time.Hour)
	from, to := before.Format(zerolog.TimeFieldFormat), before.Add(2*24*time.Hour).Format(zerolog.TimeFieldFormat)
	if !strings.Contains(log, "warn") || !strings.Contains(log, `"from":"`+from+`","to":"`+to+`"`) {
		t.Errorf("after 9 days it says %s, want from %s to %s", log, from, to)
	}
	w.Store = memstore.New(now, 0)
	before, log = look(time.Minute)
	from, to = before.Format(zerolog.TimeFieldFormat), clock.Format(zerolog.TimeFieldFormat)
	if !strings.Contains(log, "warn") || !strings.Contains(log, `"from":"`+from+`","to":"`+to+`"`) {
		t.Errorf("with an emptied store it says %s, want from %s to %s", log, from, to)
	}
}
