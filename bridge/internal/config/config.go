package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"gatehouse/internal/jsonfile"
)

// Server is one entry. Variables are filled in.
type Server struct {
	Key  string // the name as the file spells it
	Name string // the same in paths, policies, logs and metrics

	Command string
	Args    []string
	Dir     string            // where it runs; "" is the bridge's own
	Env     map[string]string // its own variables
	Inherit []string          // which of the bridge's variables it gets beside the usual ones
	All     bool              // it gets all of them but the bridge's own

	Type    string // how URL is spoken to; "" is to be found out
	URL     string // a remote server in place of Command
	Headers map[string]string

	Gate Gate
	Err  error // why it cannot be served
}

// Gate is the "gatehouse" block of an entry: what holds for this server alone.
type Gate struct {
	Scopes    []string       // a caller needs all of them
	Roles     []string       // a caller needs one of them
	Isolation string         // "" is --isolation
	Identity  string         // what a child learns of its user: "" is user
	Warm      *int           // nil is --warm
	CallTime  time.Duration  // 0 is --call-time
	Sleep     *time.Duration // nil is --sleep, 0 is never
	Sandbox   Sandbox

	Credentials *Credentials // nil for none
}

// Credentials are each caller's own, and how a child of his gets them.
type Credentials struct {
	From string `json:"from"` // its name at authsvc
	File string `json:"file"` // the name of a file in the child's own folder, or
	Env  string `json:"env"`  // a variable

	// Header is how a remote server gets it: as a Bearer token in Authorization (the
	// default), or alone in a header of this name.
	Header string `json:"header"`

	// Missing is what becomes of a child whose user has not connected it: "refuse"
	// (the default) or "start", where calls are refused until he has.
	Missing string `json:"missing"`
}

// Equal reports whether the two are started and served alike.
func (s Server) Equal(other Server) bool {
	if (s.Err == nil) != (other.Err == nil) || s.Err != nil && s.Err.Error() != other.Err.Error() {
		return false
	}
	s.Err, other.Err = nil, nil
	return reflect.DeepEqual(s, other)
}

// Command is the server after --.
func Command(argv []string, dir string, env map[string]string) Server {
	return Server{Command: argv[0], Args: argv[1:], Dir: dir, Env: env, All: true}
}

// File is what a configuration says.
type File struct {
	Servers []Server // in the order of the file
	Notes   []string // what is ignored, and which names became another
}

// ErrConfig says that the file cannot be used.
var ErrConfig = errors.New("config")

// Read reads the file. An entry that cannot be used is there with its reason;
// an error means that there is none that can.
func Read(path string, lookup func(string) (string, bool)) (File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return File{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	f, err := parse(text, lookup)
	if err != nil {
		return File{}, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	return f, nil
}

func parse(text []byte, lookup func(string) (string, bool)) (File, error) {
	var top struct {
		Servers members         `json:"mcpServers"`
		VSCode  json.RawMessage `json:"servers"`
	}
	text = jsonfile.Text(text)
	if err := json.Unmarshal(text, &top); err != nil {
		return File{}, jsonfile.Explain(text, err)
	}
	if len(top.Servers) == 0 && top.VSCode != nil {
		return File{}, errors.New(`there is "servers", as VS Code writes it; name it "mcpServers" here`)
	}
	if len(top.Servers) == 0 {
		return File{}, errors.New("mcpServers is empty; name at least one server")
	}
	return top.Servers.file(lookup)
}

func (m members) file(lookup func(string) (string, bool)) (f File, err error) {
	var ignored []string
	var faults []error
	for i, name := range names(m) {
		e := m[i]
		s, foreign, off, err := read(e.value, lookup)
		if off {
			f.Notes = append(f.Notes, fmt.Sprintf("mcpServers.%s is disabled and not served", e.key))
			continue
		}
		s.Key, s.Name = e.key, name
		if m.count(e.key) > 1 {
			err = errors.Join(errors.New("the name is given twice; keep one"), err)
		}
		if err != nil {
			s.Err = fmt.Errorf("mcpServers.%s: %w", e.key, err)
			faults = append(faults, s.Err)
		}
		for _, key := range foreign {
			ignored = append(ignored, e.key+"."+key)
		}
		if s.Key != s.Name {
			f.Notes = append(f.Notes, fmt.Sprintf(
				"mcpServers.%s is served at /servers/%s/ and is %s in policies, logs and metrics", s.Key, s.Name, s.Name))
		}
		f.Servers = append(f.Servers, s)
	}
	if len(ignored) > 0 {
		f.Notes = append(f.Notes, "keys of other programs are ignored: "+strings.Join(ignored, ", "))
	}
	if len(f.Servers) == 0 {
		return File{}, errors.New("every server is disabled; leave one")
	}
	if len(faults) == len(f.Servers) {
		return File{}, errors.Join(faults...)
	}
	return f, nil
}

// members are those of a JSON object in their order.
type members []member

type member struct {
	key   string
	value json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *members) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return errors.New("it must be an object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		*m = append(*m, member{key.(string), value}) // a decoder gives no other key
	}
	return nil
}

// twice is a fault for each of our keys that is there more than once: the last
// one would silently take away what the first asked for.
func (m members) twice(ours ...string) (faults []error) {
	for _, key := range ours {
		if m.count(key) > 1 {
			faults = append(faults, fmt.Errorf("%q is given twice; keep one", key))
		}
	}
	return faults
}

func (m members) count(key string) (n int) {
	for _, other := range m {
		if other.key == key {
			n++
		}
	}
	return n
}
