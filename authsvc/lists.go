package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// checkLists refuses what a list flag or its variable cannot mean. Kong splits at
// the separator and trims nothing: in "mcp-*, contractor" the second glob begins
// with a space and matches no role, so that the role is dropped without a word.
func checkLists(flags []*kong.Flag) error {
	var errs []error
	for _, flag := range flags {
		if list, ok := flag.Target.Interface().([]string); ok {
			errs = append(errs, checkList(flag, list))
		}
	}
	return errors.Join(errs...)
}

func checkList(flag *kong.Flag, list []string) error {
	// Where there is a default, nothing is no way to ask for it: with no --scopes
	// each token for this gate's audience would open it.
	if flag.HasDefault && len(list) == 0 {
		return fmt.Errorf("--%s: it is empty: leave it out for %s", flag.Name, flag.Default)
	}
	for _, item := range list {
		if item == "" || item != strings.TrimSpace(item) {
			return fmt.Errorf("--%s %q: want items that are separated by %q alone: no space around one, and none that is empty",
				flag.Name, item, flag.Tag.Sep)
		}
	}
	return nil
}
