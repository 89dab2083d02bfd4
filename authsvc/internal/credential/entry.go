package credential

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/contract"
	"gatehouse/internal/jsonfile"
)

// Kind is how a credential comes about.
type Kind string

// The kinds.
const (
	Entered  Kind = "entered"
	OAuth    Kind = "oauth"
	Exchange Kind = "exchange"
	Linked   Kind = "linked"
)

// defaultKeep is how long a stored credential that nobody uses is kept.
const defaultKeep = 90 * 24 * time.Hour

// Entry is one credential that users can have, as the operator wrote it.
type Entry struct {
	Name  string `json:"name"`
	Kind  Kind   `json:"kind"`
	Label string `json:"label"` // what people call it, such as Slack
	Help  string `json:"help"`  // for the user: where the secret is found
	Keep  string `json:"keep"`  // entered, oauth: how long one that nobody uses is kept

	Scopes  []string          `json:"scopes"`
	Meaning map[string]string `json:"meaning"` // of a scope, in plain words

	Audience string `json:"audience"` // exchange
	Provider string `json:"provider"` // linked: its alias at the identity provider

	Authorize        string            `json:"authorize"` // oauth: the provider's endpoints
	Token            string            `json:"token"`
	Revoke           string            `json:"revoke"`
	Issuer           string            `json:"issuer"` // that its answers must name (RFC 9207); "" for none
	ClientID         string            `json:"client_id"`
	ClientSecretFile string            `json:"client_secret_file"` // absolute, or beside the operator's file
	Params           map[string]string `json:"params"`             // further parameters of the authorization request

	keep time.Duration
}

// Stored reports whether the credential lies in the store: its user can
// connect and disconnect it here.
func (e *Entry) Stored() bool { return e.Kind == Entered || e.Kind == OAuth }

// Read reads the operator's file, {"credentials": [...]}, and reports all that
// is wrong with it at once.
func Read(path string) ([]Entry, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Credentials []Entry `json:"credentials"`
	}
	if err := jsonfile.Decode(raw, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(file.Credentials) == 0 {
		return nil, fmt.Errorf("%s: credentials is empty; name at least one", path)
	}
	var faults []error
	seen := map[string]bool{}
	for i := range file.Credentials {
		e := &file.Credentials[i]
		if seen[e.Name] {
			faults = append(faults, fmt.Errorf("%s: credentials[%d]: the name %q is given twice", path, i, e.Name))
		}
		seen[e.Name] = true
		if file := e.ClientSecretFile; file != "" && !filepath.IsAbs(file) {
			e.ClientSecretFile = filepath.Join(filepath.Dir(path), file)
		}
		if err := e.complete(); err != nil {
			faults = append(faults, fmt.Errorf("%s: credentials[%d] %q: %w", path, i, e.Name, err))
		}
	}
	return file.Credentials, errors.Join(faults...)
}

func (e *Entry) complete() error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !contract.IsCredentialName(e.Name) {
		add("name %q: want lower-case letters, digits and dashes, 32 at most", e.Name)
	}
	if e.Label == "" {
		e.Label = e.Name
	}
	e.keep = defaultKeep
	if e.Keep != "" {
		d, err := time.ParseDuration(e.Keep)
		if err != nil || d < time.Hour {
			add("keep %q: want a time of 1h at least, such as 2160h", e.Keep)
		}
		e.keep = d
	}
	want, ok := e.Kind.wants()
	if !ok {
		add("kind %q: want entered, oauth, exchange or linked", e.Kind)
	}
	for _, f := range e.fields() {
		needed, allowed := strings.Contains(want, "+"+f.name+" "), strings.Contains(want, f.name+" ")
		switch {
		case ok && needed && !f.set:
			add("%s is missing; kind %s needs it", f.name, e.Kind)
		case ok && f.set && !allowed:
			add("%s is not for kind %s", f.name, e.Kind)
		}
	}
	for name, value := range map[string]string{"authorize": e.Authorize, "token": e.Token, "revoke": e.Revoke} {
		if value != "" && !isEndpoint(value) {
			add("%s %q: want an https URL (http only on loopback)", name, value)
		}
	}
	for _, scope := range e.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \"\\") {
			add("scopes: %q is no scope; list each by itself", scope)
		}
	}
	return errors.Join(faults...)
}

// wants names the fields that a kind may have; those with a plus it must.
func (k Kind) wants() (fields string, ok bool) {
	switch k {
	case Entered:
		return "help keep ", true
	case OAuth:
		return "+authorize +token +client_id client_secret_file revoke issuer params scopes meaning help keep ", true
	case Exchange:
		return "+audience scopes meaning help ", true
	case Linked:
		return "+provider scopes meaning help ", true
	}
	return "", false
}

type field struct {
	name string
	set  bool
}

func (e *Entry) fields() []field {
	return []field{
		{"help", e.Help != ""}, {"keep", e.Keep != ""}, {"scopes", len(e.Scopes) > 0}, {"meaning", len(e.Meaning) > 0},
		{"audience", e.Audience != ""}, {"provider", e.Provider != ""}, {"authorize", e.Authorize != ""},
		{"token", e.Token != ""}, {"revoke", e.Revoke != ""}, {"issuer", e.Issuer != ""},
		{"client_id", e.ClientID != ""}, {"client_secret_file", e.ClientSecretFile != ""}, {"params", len(e.Params) > 0},
	}
}

// isEndpoint insists on TLS, but on this machine.
func isEndpoint(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	host := u.Hostname()
	return u.Scheme == "https" || u.Scheme == "http" && (host == "127.0.0.1" || host == "localhost" || host == "::1")
}
