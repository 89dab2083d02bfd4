package rpc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrLineTooLong says that a line passed its bound; the reader cannot go on.
var ErrLineTooLong = errors.New("line too long")

const readBuffer = 64 << 10

// Lines reads lines of bounded length. A long line is gathered in pieces and
// joined once, so that the cost is linear and its memory at most twice its
// size.
type Lines struct {
	r   *bufio.Reader
	max int
}

// NewLines reads lines of at most max bytes from r.
func NewLines(r io.Reader, max int) *Lines {
	return &Lines{r: bufio.NewReaderSize(r, readBuffer), max: max}
}

// Next returns the next line without its end, in memory that is the caller's.
// CR becomes a space. A last line without an end is not a line.
func (l *Lines) Next() ([]byte, error) {
	piece, err := l.r.ReadSlice('\n')
	if err == nil {
		return l.finish(bytes.Clone(piece))
	}
	var pieces [][]byte
	total := 0
	for errors.Is(err, bufio.ErrBufferFull) {
		total += len(piece)
		if total > l.max {
			return nil, ErrLineTooLong
		}
		pieces = append(pieces, bytes.Clone(piece))
		piece, err = l.r.ReadSlice('\n')
	}
	if err != nil {
		return nil, err
	}
	line := make([]byte, 0, total+len(piece))
	for _, p := range pieces {
		line = append(line, p...)
	}
	return l.finish(append(line, piece...))
}

func (l *Lines) finish(line []byte) ([]byte, error) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) > l.max {
		return nil, ErrLineTooLong
	}
	OneLine(line)
	return line, nil
}
