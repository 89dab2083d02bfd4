package production

import "testing"

func TestBlocks(t *testing.T) {
	got, err := Blocks("a\n```sh\none\ntwo\n```\n```\nnot typed\n```\n```sh later\nthree\n```\n")
	if err != nil || len(got) != 2 || got[0] != (Block{"", "one\ntwo"}) || got[1] != (Block{"later", "three"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, page := range []string{"```sh\nopen", "```sh\n```sh\n```"} {
		if _, err := Blocks(page); err == nil {
			t.Errorf("%q was taken", page)
		}
	}
}
