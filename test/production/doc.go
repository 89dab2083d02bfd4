// Package production runs docs/production.md: box.sh boots a Debian tree with
// systemd as process 1, and the test types the page's own lines there, as root,
// with nothing between that the page does not say. What stands in for the
// outside is a name server's answer (/etc/hosts), Let's Encrypt (pebble) and
// the download of Keycloak. See run.sh.
package production

import (
	"fmt"
	"strings"
)

// Block is a piece of the page that is typed: a fence that says sh, and a word
// where it is not part of the way from the bare host to the first call.
type Block struct {
	Word, Text string
}

// Blocks returns the blocks of a page in their order.
func Blocks(page string) (blocks []Block, err error) {
	var text []string
	word, inside, typed := "", false, false
	for i, line := range strings.Split(page, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !inside:
			kind, rest, _ := strings.Cut(info, " ")
			inside, typed, word, text = true, kind == "sh", rest, nil
		case fence:
			if info != "" {
				return nil, fmt.Errorf("line %d: a fence inside a fence", i+1)
			}
			if typed {
				blocks = append(blocks, Block{Word: word, Text: strings.Join(text, "\n")})
			}
			inside = false
		case inside:
			text = append(text, line)
		}
	}
	if inside {
		return nil, fmt.Errorf("the last fence has no end")
	}
	return blocks, nil
}
