package mux

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// departed is a child that has ended.
type departed struct{ paper }

func (*departed) Exit() (status, stderr string) { return "exit status 3", "" }
func (*departed) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// TestTheLastLineOfAChildIsLoggedBeforeItIsGone: a bridge that stops waits for
// the children that are there, and for no line of its log after them.
func TestTheLastLineOfAChildIsLoggedBeforeItIsGone(t *testing.T) {
	var log bytes.Buffer
	said, gone := "", false
	c := bare(Options{
		Bounds: DefaultBounds(), Stats: &Stats{}, Log: zerolog.New(&log),
		Failed: func(string) {}, Gone: func(*Conn) { said, gone = log.String(), true },
	})
	c.proc = &departed{}
	c.ended(io.EOF)
	if !gone || !strings.Contains(said, `"exit":"the server ended: exit status 3","message":"server ended"`) {
		t.Errorf("gone %v, and by then the log says %q", gone, said)
	}
}
