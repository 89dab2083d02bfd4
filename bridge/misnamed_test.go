package main

import (
	"testing"

	"gatehouse/internal/contract"
)

// TestARequestWithTheNameOfANotificationReachesNoChild, by any front: a shared
// child would take the id in it for that of a call of another user.
func TestARequestWithTheNameOfANotificationReachesNoChild(t *testing.T) {
	g := startGoverned(t, "default: allow\n", "--isolation", "shared")
	as := g.signers.assertion(t, contract.Identity{Subject: "u"})
	for era, p := range map[string]peer{
		"sse": newSSEPeer(t, g.base, as), "streamable": &streamablePeer{base: g.base}, "stateless": modernPeer{g.base},
		"batch": &batchPeer{base: g.base},
	} {
		for _, method := range []string{"notifications/cancelled", "notifications/x"} {
			a := p.call(t, as, method, "", `{"requestId":1,"mark":"seen"}`)
			if a.Error == nil || a.Error.Code != -32601 {
				t.Errorf("%s: %s is answered %+v", era, method, a)
			}
		}
	}
	if seen := g.seen.lines(t, "seen"); len(seen) > 0 {
		t.Errorf("the child heard %q", seen)
	}
}
