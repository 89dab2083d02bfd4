package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"gatehouse/test/stack"
)

// progress says what is waited for: on a terminal as one line that moves,
// elsewhere not at all, for each part has its own line when it is up.
type progress struct {
	out   io.Writer
	moves bool
}

func (p *progress) waiting(part *stack.Part, since time.Duration) {
	if p.moves {
		_, _ = fmt.Fprintf(p.out, "\r\033[K%-9s waiting for %s, %.0f s", part.Name, part.Wait, since.Seconds())
	}
}

func (p *progress) up(part *stack.Part) {
	if p.moves {
		_, _ = fmt.Fprint(p.out, "\r\033[K")
	}
	_, _ = fmt.Fprintf(p.out, "%-9s up: %-24s %5.1f s\n", part.Name, part.Wait, part.Took().Seconds())
}

func terminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
