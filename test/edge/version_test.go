package edge

import (
	"testing"

	"gatehouse/test/stack"
)

// since is what holds from a version of nginx on.
type since struct{ major, minor, patch, value int }

// byVersion is what a test expects of the nginx that it runs on, where versions
// differ: oldest of 1.22, and later values in their order. Known are 1.22.1
// (Debian 12), 1.26.3 (Debian 13) and 1.30.6 (sid, November 2026).
func byVersion(t *testing.T, oldest int, later ...since) (value int) {
	t.Helper()
	value = oldest
	for _, s := range later {
		is, err := stack.NginxAtLeast(s.major, s.minor, s.patch)
		if err != nil {
			t.Fatal(err)
		}
		if is {
			value = s.value
		}
	}
	return value
}
