// Package plan says what breaks next. It promises that the same seed gives the
// same faults in the same order, from any step on, so that a run which was
// stopped goes on where it was. It must never know how a fault is made.
package plan

import (
	"math/rand/v2"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds. Of each, the part comes back by itself when the fault is over.
const (
	ChildKill      Kind = "children killed"
	ChildHang      Kind = "children hang"
	RedisStop      Kind = "Redis stopped"
	RedisKill      Kind = "Redis killed"
	RedisHang      Kind = "Redis hangs"
	KeycloakStop   Kind = "Keycloak stopped"
	KeycloakHang   Kind = "Keycloak hangs"
	KeycloakClock  Kind = "Keycloak's clock jumps"
	NginxReload    Kind = "nginx reloaded"
	BridgeRestart  Kind = "bridge restarted"
	BridgeKill     Kind = "bridge killed"
	AuthsvcRestart Kind = "authsvc restarted"
	AuthsvcKill    Kind = "authsvc killed"
	AuthsvcHang    Kind = "authsvc hangs"
	Logout         Kind = "user logged out"

	Opening Kind = "all open their sessions" // no fault: how a run begins
)

// Plan is the order of faults of one run.
type Plan struct {
	Seed     uint64
	Short    bool // nothing that takes long to come back
	Clocks   bool // Keycloak's clock can be moved
	Replicas int  // of authsvc and the bridge, beyond the first
}

// Step is one fault.
type Step struct {
	N       int
	Kind    Kind
	Replica int           // of authsvc or the bridge
	Few     int           // how many children
	Which   int           // a number to choose users and children by
	Hold    time.Duration // for how long
	Jump    time.Duration // of a clock
	Rest    time.Duration // fair weather afterwards
}

// Kinds are those of the plan, each once in a deck.
func (p Plan) Kinds() []Kind {
	kinds := []Kind{
		ChildKill, RedisHang, BridgeKill, Logout, NginxReload, AuthsvcKill, KeycloakHang, RedisStop, BridgeRestart, ChildHang,
	}
	if p.Clocks {
		kinds = append(kinds, KeycloakClock)
	}
	if !p.Short {
		kinds = append(kinds, RedisKill, KeycloakStop, AuthsvcRestart, AuthsvcHang)
	}
	return kinds
}

// sparedDecks is for how many decks of faults the first replica lives, so that
// its memory can be watched: an hour, where a deck takes four minutes.
const sparedDecks = 16

// mostJump of a clock is within the 30 s that authsvc grants the provider's.
const mostJump = 20 * time.Second

// At is step n. The kinds come as from a deck of cards that is shuffled anew.
func (p Plan) At(n int) Step {
	kinds := p.Kinds()
	deck := n / len(kinds)
	order := rand.New(rand.NewPCG(p.Seed, uint64(deck))).Perm(len(kinds)) //nolint:gosec // the seed is the point
	rng := rand.New(rand.NewPCG(^p.Seed, uint64(n)))                      //nolint:gosec // as above
	s := Step{N: n, Kind: kinds[order[n%len(kinds)]], Replica: p.Replicas, Few: 1 + rng.IntN(6), Which: rng.Int()}
	if deck%sparedDecks == sparedDecks-1 || p.Short {
		s.Replica = rng.IntN(p.Replicas + 1)
	}
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	longest := 10 * time.Second
	if p.Short {
		longest = 2 * time.Second
	}
	s.Hold = time.Second + upTo(longest)
	s.Rest = time.Second + upTo(longest/2)
	s.Jump = upTo(mostJump)
	if rng.IntN(2) == 0 {
		s.Jump = -s.Jump
	}
	return s
}
