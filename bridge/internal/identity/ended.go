package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/internal/contract"
)

const (
	endedEvery  = 2 * time.Second
	endedMaxAge = 60 * time.Second // without an answer: no new sessions (Contract 3)
)

// Ended asks authsvc which of the logins that have something open here are
// over.
type Ended struct {
	URL    string
	Client *http.Client
	SIDs   func() []string
	End    func(sids []string)
	Blind  func(blind bool) // called when answers stop for endedMaxAge, and when they return
	Log    zerolog.Logger

	mu    sync.Mutex
	last  time.Time
	blind bool
}

// Run asks until ctx ends.
func (e *Ended) Run(ctx context.Context) {
	e.last = time.Now()
	tick := time.NewTicker(endedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.note(e.ask(ctx))
		}
	}
}

func (e *Ended) note(err error) {
	e.mu.Lock()
	if err == nil {
		e.last = time.Now()
	}
	blind := time.Since(e.last) > endedMaxAge
	changed := blind != e.blind
	e.blind = blind
	e.mu.Unlock()
	if changed {
		e.Log.Warn().Err(err).Bool("blind", blind).Msg("learning which logins have ended")
		e.Blind(blind)
	}
}

// Check fails while no answer came for too long.
func (e *Ended) Check(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.blind {
		return errors.New("authsvc has not told for 60 s which logins have ended")
	}
	return nil
}

func (e *Ended) ask(ctx context.Context) error {
	sids := e.SIDs()
	if len(sids) == 0 {
		return e.askSome(ctx, []string{})
	}
	for some := range slices.Chunk(sids, contract.MaxEndedSIDs) {
		if err := e.askSome(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (e *Ended) askSome(ctx context.Context, sids []string) error {
	ctx, cancel := context.WithTimeout(ctx, endedEvery)
	defer cancel()
	body, err := json.Marshal(contract.EndedRequest{SIDs: sids})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := e.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", e.URL, res.Status)
	}
	ended, err := contract.ReadEndedAnswer(res.Body)
	if err != nil {
		return err
	}
	if len(ended.Ended) > 0 {
		e.End(ended.Ended)
	}
	return nil
}
