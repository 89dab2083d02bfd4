package rpc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
)

// ErrLineTooLong says that a line passed its bound; the reader cannot go on.
var ErrLineTooLong = errors.New("line too long")

const (
	narrowBuffer = 4 << 10  // each reader has one: there are as many as children
	wideBuffer   = 64 << 10 // what a pipe holds (pipe(7)): for as long as a longer line is read
)

var wide = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, wideBuffer) }}

// Lines reads lines of bounded length. A long line is gathered in pieces and
// joined once, so that the cost is linear and its memory at most twice its
// size.
type Lines struct {
	src    io.Reader
	narrow *bufio.Reader
	r      *bufio.Reader // narrow, or a wide one
	max    int
}

// NewLines reads lines of at most max bytes from r.
func NewLines(r io.Reader, max int) *Lines {
	narrow := bufio.NewReaderSize(r, narrowBuffer)
	return &Lines{src: r, narrow: narrow, r: narrow, max: max}
}

// widen is for a line that filled the buffer, which holds nothing more then.
func (l *Lines) widen() {
	if l.r == l.narrow {
		l.r = wide.Get().(*bufio.Reader)
		l.r.Reset(l.src)
	}
}

// settle gives a wide buffer back once all in it is read.
func (l *Lines) settle() {
	if l.r != l.narrow && l.r.Buffered() == 0 {
		l.r.Reset(nil)
		wide.Put(l.r)
		l.r = l.narrow
	}
}

// Next returns the next line without its end, in memory that is the caller's.
// CR becomes a space. A last line without an end is not a line.
func (l *Lines) Next() ([]byte, error) {
	defer l.settle()
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
		l.widen()
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
