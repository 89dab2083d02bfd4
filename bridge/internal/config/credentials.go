package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gatehouse/internal/contract"
)

var (
	fileName     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	headerName   = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110, section 5.1

	// What HTTP and MCP use themselves.
	ofTheProtocol = regexp.MustCompile("^(?i)(host|accept|connection|content-.*|transfer-encoding|last-event-id|mcp-.*)$")
)

// What becomes of a child whose user has not connected its credential.
const (
	MissingRefuses = "refuse"
	MissingStarts  = "start"
)

// readCredentials is strict: every key of the block is ours.
func readCredentials(raw json.RawMessage) (*Credentials, error) {
	var c Credentials
	if err := strictly(raw, &c, "from", "file", "env", "header", "missing"); err != nil {
		return nil, err
	}
	if c.Missing == "" {
		c.Missing = MissingRefuses
	}
	var faults []error
	if !contract.IsCredentialName(c.From) {
		faults = append(faults, fmt.Errorf("from %q must be a name of authsvc's --credentials", c.From))
	}
	switch {
	case c.File != "" && !fileName.MatchString(c.File):
		faults = append(faults, fmt.Errorf("file %q must be a plain name; it lies in $CREDENTIALS_DIRECTORY", c.File))
	case c.Env != "" && !variableName.MatchString(c.Env):
		faults = append(faults, fmt.Errorf("env %q cannot be the name of a variable", c.Env))
	case c.Missing != MissingRefuses && c.Missing != MissingStarts:
		faults = append(faults, fmt.Errorf("missing %q must be refuse or start", c.Missing))
	case c.Missing == MissingStarts && c.Env != "":
		faults = append(faults, errors.New("missing start needs file: an environment cannot be changed later"))
	}
	return &c, errors.Join(faults...)
}

// reach is about how a child of a command gets it.
func (c *Credentials) reach() error {
	switch {
	case c == nil:
		return nil
	case c.Header != "":
		return errors.New("gatehouse: credentials: header is for a url; a command gets file or env")
	case (c.File == "") == (c.Env == ""):
		return errors.New("gatehouse: credentials: give file or env: how the server reads it")
	}
	return nil
}

// DefaultHeader is where a remote server finds its user's credential.
const DefaultHeader = "Authorization"

// reachRemote is about how a remote server gets it, beside the headers that all
// callers share.
func (c *Credentials) reachRemote(headers map[string]string) error {
	if c == nil {
		return nil
	}
	if c.Header == "" {
		c.Header = DefaultHeader
	}
	switch {
	case c.File != "" || c.Env != "":
		return errors.New("gatehouse: credentials: file and env are for a command; a url gets a header, " +
			"Authorization if none is named")
	case !headerName.MatchString(c.Header):
		return fmt.Errorf("gatehouse: credentials: header %q is no name of a header of HTTP", c.Header)
	case ofTheProtocol.MatchString(c.Header):
		return fmt.Errorf("gatehouse: credentials: header %q says something else to a server; name another", c.Header)
	case c.Missing == MissingStarts:
		return errors.New("gatehouse: credentials: missing start is for a command; " +
			"a url is asked with the credential from its first message on")
	}
	for name := range headers {
		if strings.EqualFold(name, c.Header) {
			return fmt.Errorf("gatehouse: credentials: the header %s stands in headers too; "+
				"leave it out there, or name another here", c.Header)
		}
	}
	return nil
}
