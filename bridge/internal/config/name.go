package config

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`) // it is a segment of a path
	unplain  = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
)

const (
	slugMax  = 48
	hashSize = 6 // hex digits
)

// names gives each entry a name that can be a segment of a path: its own where
// it can be one, else the nearest that no other entry has.
func names(entries members) []string {
	taken := map[string]bool{}
	for _, m := range entries {
		if nameForm.MatchString(m.key) {
			taken[m.key] = true
		}
	}
	out := make([]string, len(entries))
	for i, m := range entries {
		if nameForm.MatchString(m.key) {
			out[i] = m.key
			continue
		}
		out[i] = slug(m.key)
		if out[i] == "" || taken[out[i]] {
			sum := sha256.Sum256([]byte(m.key))
			out[i] = strings.TrimPrefix(out[i]+"-"+hex.EncodeToString(sum[:])[:hashSize], "-")
		}
		taken[out[i]] = true
	}
	return out
}

func slug(key string) string {
	plain := strings.Trim(unplain.ReplaceAllString(key, "-"), "-._")
	return strings.TrimRight(plain[:min(len(plain), slugMax)], "-._")
}
