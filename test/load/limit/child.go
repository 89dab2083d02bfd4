package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
)

var errGone = errors.New("the child has gone")

// link is a child and the calls that wait for its lines.
type link struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	mu      sync.Mutex // guards waiting and writes to in
	waiting map[string]chan []byte
	stream  chan []byte // where an SSE client's lines go, nil for /mcp
}

func startLink(argv []string, stream chan []byte) (*link, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	l := &link{cmd: cmd, in: in, waiting: map[string]chan []byte{}, stream: stream}
	go l.read(out)
	return l, nil
}

// read hands each line to the call with its id, until the child ends.
func (l *link) read(out io.Reader) {
	r := bufio.NewReaderSize(out, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break
		}
		if l.stream != nil {
			l.stream <- line
			continue
		}
		l.deliver(line)
	}
	_ = l.cmd.Wait() // the exit code of a killed child says nothing
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, ch := range l.waiting {
		delete(l.waiting, id)
		close(ch)
	}
	if l.stream != nil {
		close(l.stream)
	}
}

func (l *link) deliver(line []byte) {
	id := idOf(line)
	l.mu.Lock()
	ch := l.waiting[id]
	delete(l.waiting, id)
	l.mu.Unlock()
	if ch != nil {
		ch <- line
	}
}

// call writes a line and waits for the line with its id.
func (l *link) call(line []byte) ([]byte, error) {
	ch := make(chan []byte, 1)
	l.mu.Lock()
	l.waiting[idOf(line)] = ch
	_, err := l.in.Write(append(line, '\n'))
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	answer, ok := <-ch
	if !ok {
		return nil, errGone
	}
	return answer, nil
}

func (l *link) send(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.in.Write(append(line, '\n'))
	return err
}

func (l *link) stop() { _ = l.in.Close() }

func idOf(line []byte) string {
	var head struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(line, &head) != nil {
		return ""
	}
	return string(head.ID)
}
