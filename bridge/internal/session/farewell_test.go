package session

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"gatehouse/bridge/internal/fleet"
)

// TestTheLogSaysWhyASessionEnded, once, and nothing that opens one.
func TestTheLogSaysWhyASessionEnded(t *testing.T) {
	var log bytes.Buffer
	s := newStrictFrom(t, func(c *fleet.ServerConfig) {
		c.Name, c.Log = "slack", zerolog.New(&log).Level(zerolog.InfoLevel)
	})
	s.End(ErrIdle)
	s.End(ErrDeleted)
	inner, err := s.table.OpenWithin(s.server, s.Owner, "door")
	if err != nil {
		t.Fatal(err)
	}
	inner.End(ErrDeleted)
	var line struct {
		Level, Server, Session, Why, Era string
		Age, Unused                      *float64
	}
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, log.Bytes())
	}
	if line.Level != "info" || line.Server != "slack" || line.Session != s.ID.Label() || line.Why != ErrIdle.Error() ||
		line.Era != "sse" || line.Age == nil || line.Unused == nil {
		t.Errorf("the line is %s", log.Bytes())
	}
	if strings.Contains(log.String(), s.ID.Secret) {
		t.Error("the log holds the secret of the id")
	}
}
