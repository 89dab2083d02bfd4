// Package version says what a program was built from. It promises one line and
// must never know which program.
package version

import (
	"fmt"
	"runtime/debug"
)

// Of is what --version prints: the tag or the pseudo-version that Go made
// of the commit, the commit, and the Go that built the program.
func Of(program string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return program + " of an unknown build"
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		commit = "unknown"
	}
	if settings["vcs.modified"] == "true" {
		commit += " with changes"
	}
	return fmt.Sprintf("%s %s, commit %s, %s %s/%s",
		program, info.Main.Version, commit, info.GoVersion, settings["GOOS"], settings["GOARCH"])
}
