package child

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// pipes are the three of a child: our ends, which know deadlines, and theirs.
type pipes struct {
	stdin, stdout, stderr *os.File
	theirs                []*os.File
}

func (p *pipes) open(cmd *exec.Cmd) error {
	var ends [3][2]*os.File
	for i := range ends {
		r, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("pipe to a server: %w", err)
		}
		ends[i] = [2]*os.File{r, w}
		if i == 0 {
			r, w = w, r
		}
		p.theirs = append(p.theirs, w)
		switch i {
		case 0:
			p.stdin, cmd.Stdin = r, w
		case 1:
			p.stdout, cmd.Stdout = r, w
		case 2:
			p.stderr, cmd.Stderr = r, w
		}
	}
	return nil
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		_ = f.Close()
	}
}

func (p *pipes) close() {
	p.closeTheirs()
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// tail keeps the last lines of standard error for the word about an exit.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const (
	tailLines   = 5
	stderrChunk = 4096
)

// read hands each line on. A line longer than the buffer comes in pieces.
func (t *tail) read(r io.Reader, each func(string), hide func(string, bool) (string, string)) {
	br, rest := bufio.NewReaderSize(r, stderrChunk), ""
	for {
		piece, more, err := br.ReadLine()
		if err != nil {
			return
		}
		line := string(piece)
		if hide != nil {
			if line, rest = hide(rest+line, more); line == "" && more {
				continue
			}
		}
		line = strings.ToValidUTF8(line, "\uFFFD")
		t.add(line)
		if each != nil {
			each(line)
		}
	}
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
