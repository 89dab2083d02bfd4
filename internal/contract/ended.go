package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Paths on authsvc's internal listener.
const (
	PathKeys          = "/internal/keys"           // GET: JWKS that verifies assertions
	PathSessionsEnded = "/internal/sessions/ended" // POST: EndedRequest -> EndedAnswer
)

// Bounds of one question about ended sessions.
const (
	MaxEndedSIDs  = 10000
	MaxEndedBytes = 4 << 20
)

// ErrEnded says that a message about ended sessions cannot be used.
var ErrEnded = errors.New("ended-sessions message")

// EndedRequest asks which of these sids have ended. The bridge sends those
// that have something open there.
type EndedRequest struct {
	SIDs []string `json:"sids"`
}

// EndedAnswer names those that have ended: a subset of what was asked.
type EndedAnswer struct {
	Ended []string `json:"ended"`
}

// ReadEndedRequest reads one request of bounded size.
func ReadEndedRequest(r io.Reader) (EndedRequest, error) {
	var m EndedRequest
	err := readEnded(r, &m, func() []string { return m.SIDs })
	return m, err
}

// ReadEndedAnswer reads one answer of bounded size.
func ReadEndedAnswer(r io.Reader) (EndedAnswer, error) {
	var m EndedAnswer
	err := readEnded(r, &m, func() []string { return m.Ended })
	return m, err
}

func readEnded(r io.Reader, m any, sids func() []string) error {
	dec := json.NewDecoder(io.LimitReader(r, MaxEndedBytes))
	if err := dec.Decode(m); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	if n := len(sids()); n > MaxEndedSIDs {
		return fmt.Errorf("%w: %d sids, at most %d", ErrEnded, n, MaxEndedSIDs)
	}
	for _, sid := range sids() {
		if sid == "" {
			return fmt.Errorf("%w: an empty sid", ErrEnded)
		}
		if err := checkField("sid", sid); err != nil {
			return fmt.Errorf("%w: %w", ErrEnded, err)
		}
	}
	return nil
}
