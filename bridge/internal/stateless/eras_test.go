package stateless_test

import "testing"

// TestSilenceIsNotAnAnswer: a server of both eras that needs longer to start
// than a child may be silent is still asked in the newer one; a refusal that
// names versions is believed.
func TestSilenceIsNotAnAnswer(t *testing.T) {
	for child, era := range map[string]string{"both": "server/discover", "picky": "named"} {
		t.Run(child, func(t *testing.T) {
			t.Parallel()
			g := openFor(t, child, nil, nil)
			a := g.call(t, "alice", "1", "prompts/list", "", "{}")
			if a.status != 200 || a.Result["era"] != era {
				t.Errorf("%+v, want the era %s", a, era)
			}
		})
	}
}
