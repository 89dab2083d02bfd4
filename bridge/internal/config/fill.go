package config

import (
	"fmt"
	"regexp"
)

// variable is ${NAME} or ${NAME:-default}; Cursor and VS Code write ${env:NAME}.
var variable = regexp.MustCompile(`\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// filler puts values in place of variables and keeps what was missing.
type filler struct {
	lookup func(string) (string, bool)
	faults []error
}

// fill takes the default where the variable is not set or empty, as a shell
// does.
func (f *filler) fill(value string) string {
	return variable.ReplaceAllStringFunc(value, func(ref string) string {
		parts := variable.FindStringSubmatch(ref)
		name, standard, hasDefault := parts[1], parts[3], parts[2] != ""
		found, ok := f.lookup(name)
		switch {
		case hasDefault && found == "":
			return standard
		case !ok:
			f.faults = append(f.faults, fmt.Errorf(
				"${%s} is not set in the environment of bridge; set it or write ${%s:-default}", name, name))
		}
		return found
	})
}

func (f *filler) fillMap(values map[string]text) map[string]string {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]string, len(values))
	for key, value := range values {
		out[key] = f.fill(string(value))
	}
	return out
}
