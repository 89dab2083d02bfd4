// Package caller is one MCP client of one era, that asks and judges what it is
// told. It promises that no answer passes which is not the answer to its own
// question, and that each failure has a kind: refused by name, cut off, silent,
// nameless, wrong. It must never know which fault is on.
package caller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Era is a way in which clients speak.
type Era string

// The eras, by hand and through the official client of Go.
const (
	SSE       Era = "2024-11-05"
	March     Era = "2025-03-26"
	June      Era = "2025-06-18"
	November  Era = "2025-11-25"
	Stateless Era = "2026-07-28"
	SDK       Era = "Go SDK, /mcp"
	SDKSSE    Era = "Go SDK, /sse"
)

// Eras are all of them.
func Eras() []Era { return []Era{SSE, March, June, November, Stateless, SDK, SDKSSE} }

// Client is one client. It is not safe for concurrent use.
type Client interface {
	Open(ctx context.Context) error
	Call(ctx context.Context, a Ask) (Reply, error)
	// Stream is closed when the stream that the client holds open has ended; nil
	// where it holds none.
	Stream() <-chan struct{}
	Close()
}

// New makes a client that calls as the user; number tells it from all others.
func New(era Era, user *User, number int) Client {
	w := &web{gate: user.gate.URL, user: user}
	w.http = user.client(number, &w.refused)
	switch era {
	case SSE:
		return &sse{web: w}
	case Stateless:
		return &stateless{web: w}
	case SDK, SDKSSE:
		return &sdk{web: w, era: era}
	default:
		return &streamable{web: w, version: string(era)}
	}
}

// Ask is one question.
type Ask struct {
	Tool  string
	Args  map[string]any
	Token string // of progress, "" for none
	Want  string // what the answer must hold
	Steps int    // how many notifications of progress must come before it, with Token
	Break bool   // lose the connection after the first event, and come back for the rest
}

// step is the distance between the numbers of two callers.
const step = 1_000_000

// NewAsk makes the question seq of a caller: who am I, a sum of numbers that
// nobody else adds, or a countdown with progress, which some break off and resume.
func NewAsk(rng *rand.Rand, email string, number, seq int) Ask {
	switch n := rng.IntN(10); {
	case n < 2:
		return Ask{Tool: "whoami", Want: "<" + email + ">"}
	case n < 4:
		from := 3 + rng.IntN(4)
		return Ask{
			Tool: "countdown", Args: map[string]any{"from": from, "pause_ms": 50 + rng.IntN(200)}, Want: "lift-off",
			Token: fmt.Sprintf("soak-%d-%d", number, seq), Steps: from, Break: n == 2,
		}
	default:
		a := number*step + seq%step
		return Ask{Tool: "add", Args: map[string]any{"a": a, "b": 0}, Want: fmt.Sprint(float64(a))}
	}
}

// Reply is what came.
type Reply struct {
	Text   string
	Steps  []float64 // of progress
	Tokens []string  // with which it came
}

// Judge says what is wrong with a reply, nil for nothing. exact demands that all
// progress came, once and in order.
func (a Ask) Judge(r Reply, exact bool) error {
	if a.Tool == "add" && r.Text != a.Want || !strings.Contains(r.Text, a.Want) {
		return &Wrong{Want: a.Want, Got: r.Text}
	}
	for _, token := range r.Tokens {
		if token != a.Token {
			return &Wrong{Want: "progress for " + a.Token, Got: "for " + token}
		}
	}
	if !exact {
		return nil
	}
	for i := range max(a.Steps, len(r.Steps)) {
		if len(r.Steps) != a.Steps || r.Steps[i] != float64(i+1) {
			return &Wrong{Want: fmt.Sprintf("progress 1 to %d", a.Steps), Got: fmt.Sprint(r.Steps)}
		}
	}
	return nil
}

// Wrong is an answer to another question, or of somebody else.
type Wrong struct{ Want, Got string }

func (w *Wrong) Error() string {
	return fmt.Sprintf("wrong answer: wanted %q, got %.300q", w.Want, w.Got)
}

// Refused is a refusal that says why.
type Refused struct {
	Status int // of HTTP; 200 where the refusal is an answer of JSON-RPC
	Text   string
	Retry  time.Duration
}

func (r *Refused) Error() string { return fmt.Sprintf("refused, %d: %.300s", r.Status, r.Text) }

// Nameless is a refusal that does not say why.
type Nameless struct {
	Status int
	Text   string
}

func (n *Nameless) Error() string {
	return fmt.Sprintf("status %d without a reason: %.300q", n.Status, n.Text)
}

// Cut is a connection or a stream that ended before the answer.
type Cut struct{ Err error }

func (c *Cut) Error() string { return "cut off: " + c.Err.Error() }
func (c *Cut) Unwrap() error { return c.Err }

// ErrSilent is an answer that did not come within the caller's patience.
var ErrSilent = errors.New("no answer")

// ErrNoToken says that the caller itself has nothing to show: it asked no one.
var ErrNoToken = errors.New("no token")

// failed names the failure of an exchange by HTTP.
func failed(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, ErrNoToken):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrSilent, err)
	default:
		return &Cut{Err: err}
	}
}
