package contract

import (
	"encoding/json"
	"fmt"
	"io"
)

// PathServers is where the bridge tells authsvc, by GET and with the assertion
// of a person, which servers that person may use. The edge does not publish it.
const PathServers = "/servers"

// MaxServersBytes bounds the answer.
const MaxServersBytes = 1 << 20

// Servers is the answer.
type Servers struct {
	Servers []Server `json:"servers"`
}

// Server is one that the person may use.
type Server struct {
	Name  string   `json:"name"`  // "" where it is the only one, and of all of them in one
	Path  string   `json:"path"`  // of its endpoint, below the public URL
	Tools []string `json:"tools"` // as far as they are known, and open to the person
}

// ReadServers reads the answer.
func ReadServers(r io.Reader) (Servers, error) {
	var m Servers
	text, err := io.ReadAll(io.LimitReader(r, MaxServersBytes+1))
	if err != nil {
		return m, fmt.Errorf("servers: %w", err)
	}
	if len(text) > MaxServersBytes {
		return m, fmt.Errorf("servers: more than %d bytes", MaxServersBytes)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("servers: %w", err)
	}
	return m, nil
}
