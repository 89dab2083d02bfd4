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
}

// ErrConfig says that the file cannot be used.
var ErrConfig = errors.New("config")

type file struct {
	Servers map[string]entry `json:"mcpServers"`
}

type entry struct {
	Command string            `json:"command"`
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
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var f file
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	if len(f.Servers) == 0 {
		return nil, fmt.Errorf("%w: %s: mcpServers is empty; name at least one server", ErrConfig, path)
	}
	var servers []Server
	var faults []error
	for name, e := range f.Servers {
		s, err := e.server(name, lookup)
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: %s: mcpServers.%s: %w", ErrConfig, path, name, err))
		}
		servers = append(servers, s)
	}
	slices.SortFunc(servers, func(a, b Server) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return servers, errors.Join(faults...)
}

func (e entry) server(name string, lookup func(string) (string, bool)) (Server, error) {
	if !nameForm.MatchString(name) {
		return Server{}, errors.New("the name becomes part of a path: letters, digits, dot, dash and underscore, at most 64")
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
	s := Server{Name: name, Command: e.Command, Args: e.Args, Env: map[string]string{}}
	for key, value := range e.Env {
		s.Env[key] = fill(value)
	}
	return s, missing
}
