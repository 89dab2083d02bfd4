package outage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"gatehouse/authsvc/internal/outage"
	"gatehouse/authsvc/internal/session"
)

func TestOneLineAMinuteForEachCause(t *testing.T) {
	var said strings.Builder
	clock := time.Unix(1e9, 0)
	log := zerolog.New(&said).Hook(outage.Hook(func() time.Time { return clock }))
	for range 100 {
		clock = clock.Add(time.Second)
		for _, err := range []error{session.ErrUnavailable, session.ErrFull, fmt.Errorf("%w: NOAUTH", session.ErrPassword)} {
			log.Warn().Err(err).Msg("no verdict: " + outage.Cause(err))
		}
		log.Info().Msg("refused")
	}
	text := said.String()
	for cause, want := range map[string]int{
		"the store is out of reach": 2, "the store is full": 2, "refused the password": 2, "held_back\":59": 3, "\"refused\"": 100,
	} {
		if got := strings.Count(text, cause+`"`) + strings.Count(text, cause+" of") + strings.Count(text, cause+`,`) + strings.Count(text, cause+`}`); got != want {
			t.Errorf("%q stands in %d lines of 100 s, want %d", cause, got, want)
		}
	}
}
