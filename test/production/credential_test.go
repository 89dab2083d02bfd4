//go:build production

package production

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// ownCredential: what alice enters on the gate's page reaches her child, through
// the drop-in that the package lays.
func (s *story) ownCredential(t *testing.T) {
	for _, block := range s.words["credentials"] {
		s.typed(t, block)
	}
	const page, secret = gateURL + "/account/connect/notes", "hush-of-alice"
	key := token(t, s.alice, s.web)
	until(t, "a call names the page where it is entered", func() bool {
		_, err := call(t.Context(), s.web, key, "/servers/notes/mcp", "whoami", nil)
		return err != nil && strings.Contains(err.Error(), page)
	})
	do(t, s.alice, "enter a credential", chromedp.Navigate(page), chromedp.WaitVisible("#secret"),
		chromedp.SendKeys("#secret", secret+"\r"), chromedp.WaitVisible(`form[action="/logout"] button`))
	who, err := call(t.Context(), s.web, key, "/servers/notes/mcp", "whoami", nil)
	if want := fmt.Sprintf("credential notes-key of %d bytes", len(secret)); err != nil || !strings.Contains(who, want) {
		t.Errorf("whoami: %q, %v; want %q in it", who, err, want)
	}
	if said := s.run(t, "sh", "-c", "journalctl --no-pager | grep -c "+secret+" || true"); said != "0" {
		t.Errorf("the secret stands %s times in the journal", said)
	}
}
