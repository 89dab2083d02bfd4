package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"gatehouse/internal/contract"
)

var (
	fileName     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// What becomes of a child whose user has not connected its credential.
const (
	MissingRefuses = "refuse"
	MissingStarts  = "start"
)

// readCredentials is strict: every key of the block is ours.
func readCredentials(raw json.RawMessage) (*Credentials, error) {
	var c Credentials
	if err := strictly(raw, &c, "from", "file", "env", "missing"); err != nil {
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
	case (c.File == "") == (c.Env == ""):
		faults = append(faults, errors.New("give file or env: how the server reads it"))
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
