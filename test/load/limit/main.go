// Command limit is the yardstick of the load program: the least that a Go
// program can do between HTTP and a stdio child. It writes the body as a line,
// waits for the line with its id and answers with it. It promises nothing
// else: no origin, version, owner or size is checked, nothing is bounded, and
// it must never stand anywhere but in a benchmark on loopback.
//
// /mcp, /sse and /message speak MCP; /ok answers "ok", /auth answers an empty
// 200 (the floor of auth_request), /idle is an SSE stream with nothing behind.
package main

import (
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "host:port")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "limit: want -listen HOST:PORT -- COMMAND ARG...")
		os.Exit(2)
	}
	s := &server{argv: flag.Args(), links: map[string]*link{}}
	if err := http.ListenAndServe(*listen, s.routes()); err != nil {
		fmt.Fprintln(os.Stderr, "limit:", err)
		os.Exit(1)
	}
}

type server struct {
	argv  []string
	mu    sync.RWMutex
	links map[string]*link
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mcp", s.mcp)
	mux.HandleFunc("DELETE /mcp", s.end)
	mux.HandleFunc("GET /sse", s.sse)
	mux.HandleFunc("POST /message", s.message)
	mux.HandleFunc("GET /idle", idle)
	mux.HandleFunc("/auth", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	return mux
}

// open starts a child under a new id.
func (s *server) open(stream chan []byte) (string, *link, error) {
	l, err := startLink(s.argv, stream)
	if err != nil {
		return "", nil, err
	}
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[id] = l
	return id, l, nil
}

func (s *server) find(id string) *link {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.links[id]
}

func (s *server) drop(id string) {
	s.mu.Lock()
	l := s.links[id]
	delete(s.links, id)
	s.mu.Unlock()
	if l != nil {
		l.stop()
	}
}

func (s *server) mcp(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id := r.Header.Get("Mcp-Session-Id")
	l := s.find(id)
	if id == "" {
		if id, l, err = s.open(nil); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Mcp-Session-Id", id)
	}
	if l == nil {
		http.NotFound(w, r)
		return
	}
	if idOf(body) == "" {
		_ = l.send(body)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	answer, err := l.call(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer)
}

func (s *server) end(_ http.ResponseWriter, r *http.Request) { s.drop(r.Header.Get("Mcp-Session-Id")) }

func (s *server) sse(w http.ResponseWriter, r *http.Request) {
	lines := make(chan []byte, 64)
	id, _, err := s.open(lines)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer s.drop(id)
	rc := startStream(w)
	fmt.Fprintf(w, "event: endpoint\ndata: /message?sessionId=%s\n\n", id)
	_ = rc.Flush()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			fmt.Fprintf(w, "event: message\ndata: %s\n", line) // the line has its own newline
			_ = rc.Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (s *server) message(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	l := s.find(r.URL.Query().Get("sessionId"))
	if err != nil || l == nil || l.send(body) != nil {
		http.NotFound(w, r)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// idle is what one open stream costs in net/http alone.
func idle(w http.ResponseWriter, r *http.Request) {
	rc := startStream(w)
	_, _ = io.WriteString(w, "event: endpoint\ndata: /message?sessionId=none\n\n")
	_ = rc.Flush()
	<-r.Context().Done()
}

func startStream(w http.ResponseWriter) *http.ResponseController {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	return http.NewResponseController(w)
}
