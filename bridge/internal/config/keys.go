package config

import (
	"fmt"
	"slices"
	"strings"
)

// classify tells whether a key of an entry is ours, or that it seems to be
// meant for us and would be lost.
func classify(name string) (ours bool, err error) {
	if slices.Contains(ourKeys(), name) {
		return true, nil
	}
	if slices.Contains(foreignKeys(), name) {
		return false, nil
	}
	if slices.Contains(gateKeys(), name) {
		return false, fmt.Errorf(`%q belongs into "gatehouse": {...} of the entry`, name)
	}
	plain := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
	for _, alias := range aliases() {
		if plain == alias[0] {
			return false, fmt.Errorf("unknown key %q; did you mean %q?", name, alias[1])
		}
	}
	for _, key := range append(ourKeys(), gateKeys()...) {
		if distance(plain, strings.ToLower(key)) <= min(2, len(key)/3) {
			return false, fmt.Errorf("unknown key %q; did you mean %q?", name, key)
		}
	}
	return false, nil
}

func ourKeys() []string {
	return []string{"type", "command", "args", "cwd", "env", "inherit", "url", "headers", "gatehouse"}
}

func gateKeys() []string {
	return []string{"scopes", "roles", "isolation", "identity", "warm", "callTime", "sleep", "sandbox", "credentials"}
}

// aliases are what other programs call a key of ours: ignored, a server would
// start without what its owner wrote.
func aliases() [][2]string {
	return [][2]string{
		{"cmd", "command"}, {"environment", "env"}, {"arguments", "args"},
		{"dir", "cwd"}, {"workdir", "cwd"}, {"workingdir", "cwd"}, {"workingdirectory", "cwd"},
		{"serverurl", "url"}, {"httpurl", "url"},
	}
}

// foreignKeys are known keys of other clients that spelling might take for ours.
func foreignKeys() []string {
	return []string{"dev", "tags", "trust", "tools", "roots", "timeout", "disabled"}
}

// distance is the number of letters to change, add, leave out or swap with
// their neighbour until a is b.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
