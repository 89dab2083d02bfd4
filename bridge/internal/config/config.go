// Package config reads the {"mcpServers": {...}} file that desktop clients
// already have.
//
// It must never start anything, nor know HTTP.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// Server is one entry.
type Server struct {
	Name    string
	Command string
	Args    []string
	Env     map[string]string // with ${NAME} filled in
	Dir     string            // where it runs; "" is the bridge's own
}

// ErrConfig says that the file cannot be used.
var ErrConfig = errors.New("config")

// file is what desktop clients write; what else they keep in it is theirs.
type file struct {
	Servers map[string]json.RawMessage `json:"mcpServers"`
}

// entry is strict: a key that is misspelt must not be ignored.
type entry struct {
	Type    string            `json:"type"`
	Command string            `json:"command"`
	Dir     string            `json:"cwd"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`) // it is a segment of a path
	variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
)

// Read returns the servers by name. All that is wrong with the file is told at
// once.
func Read(path string, lookup func(string) (string, bool)) ([]Server, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return parse(text, path, lookup)
}

func parse(text []byte, path string, lookup func(string) (string, bool)) ([]Server, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	if len(f.Servers) == 0 {
		return nil, fmt.Errorf("%w: %s: mcpServers is empty; name at least one server", ErrConfig, path)
	}
	var servers []Server
	var faults []error
	for name, raw := range f.Servers {
		s, err := server(name, raw, lookup)
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: %s: mcpServers.%s: %w", ErrConfig, path, name, err))
		}
		servers = append(servers, s)
	}
	slices.SortFunc(servers, func(a, b Server) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return servers, errors.Join(faults...)
}

func server(name string, raw json.RawMessage, lookup func(string) (string, bool)) (Server, error) {
	var e entry
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return Server{}, err
	}
	return e.server(name, lookup)
}

func (e entry) server(name string, lookup func(string) (string, bool)) (Server, error) {
	if !nameForm.MatchString(name) {
		return Server{}, errors.New("the name becomes part of a path: letters, digits, dot, dash and underscore, at most 64")
	}
	if e.Type != "" && e.Type != "stdio" {
		return Server{}, fmt.Errorf("type %q is not served; only stdio is", e.Type)
	}
	if e.Command == "" {
		return Server{}, errors.New("command is empty")
	}
	var missing error
	fill := func(value string) string {
		return variable.ReplaceAllStringFunc(value, func(ref string) string {
			found, ok := lookup(ref[2 : len(ref)-1])
			if !ok {
				missing = fmt.Errorf("%s is not set in the environment of bridge", ref)
			}
			return found
		})
	}
	s := Server{Name: name, Command: e.Command, Args: e.Args, Dir: e.Dir, Env: map[string]string{}}
	for key, value := range e.Env {
		s.Env[key] = fill(value)
	}
	return s, missing
}
