package main

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// The users of the simulation: each has one session with its stream open, works
// in bursts of calls, and pauses between them. These are assumptions; they stand
// on the page.
const (
	burst   = 8                // calls, on average
	between = 5 * time.Second  // from call to call in a burst, on average
	pause   = 15 * time.Minute // from burst to burst, on average
	verdict = 2 * time.Second  // for which nginx remembers one
	asleep  = 5 * time.Minute  // without a call, and a session sleeps
	window  = 60 * time.Second // that is simulated
	hasty   = 0.99             // of the seconds: the peak is what the others stay below
)

// load is what so many users ask of the gate in a second at the peak.
type load struct {
	users               int
	calls, asks, wakes  float64 // a second
	awake               int     // children
	callsMean, asksMean float64
}

// due is when a user calls next.
type due struct {
	at   float64 // s
	user int
}

type queue []due

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(due)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// simulate lets users call for the window. It begins as if they had for ever:
// pauses and gaps are exponential, so that what is left of one is as long as one.
func simulate(users int, seed uint64) load {
	rng := rand.New(rand.NewPCG(seed, uint64(users))) //nolint:gosec // the same page each time
	exp := func(mean time.Duration) float64 { return rng.ExpFloat64() * mean.Seconds() }
	gap := func() float64 {
		if rng.Float64() < 1/float64(burst) {
			return exp(pause)
		}
		return exp(between)
	}
	q := make(queue, users)
	last := make([]float64, users)  // call of each
	asked := make([]float64, users) // last question to authsvc for each
	working := (burst - 1) * between.Seconds() / ((burst-1)*between.Seconds() + pause.Seconds())
	for u := range users {
		rest, ago := pause, exp(pause)
		if rng.Float64() < working {
			rest, ago = between, exp(between)
		}
		last[u], asked[u] = -ago, -ago
		q[u] = due{exp(rest), u}
	}
	heap.Init(&q)
	end := window.Seconds()
	calls, asks, wakes := make([]float64, int(end)), make([]float64, int(end)), make([]float64, int(end))
	for q[0].at < end {
		now, u := q[0].at, q[0].user
		second := int(now)
		calls[second]++
		if now-asked[u] > verdict.Seconds() {
			asks[second]++
			asked[u] = now
		}
		if now-last[u] > asleep.Seconds() {
			wakes[second]++
		}
		last[u] = now
		q[0].at = now + gap()
		heap.Fix(&q, 0)
	}
	l := load{
		users: users, calls: peak(calls), asks: peak(asks), wakes: peak(wakes),
		callsMean: mean(calls), asksMean: mean(asks),
	}
	for u := range users {
		if end-last[u] <= asleep.Seconds() {
			l.awake++
		}
	}
	return l
}

func peak(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[int(math.Ceil(hasty*float64(len(s))))-1]
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}
