package check

import (
	"strings"
	"testing"
)

func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  abc", "DPoP abc", "Basic abc", "Bearer a b", "Bearer a,b", "Bearer", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		scheme, token, ok := parseAuthorization([]string{header})
		if !ok {
			return
		}
		if scheme != schemeBearer && scheme != schemeDPoP || token == "" || strings.ContainsAny(token, " ,\r\n\t") {
			t.Errorf("%q = %q %q", header, scheme, token)
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	const most = 100
	c := newCache(most)
	hot := key{255}
	c.put(hot, &verdict{})
	for i := range 10 * most {
		c.put(key{byte(i), byte(i >> 8)}, &verdict{})
		if c.get(hot) == nil {
			t.Fatal("what is used was dropped")
		}
		if c.len() > most+1 {
			t.Fatalf("%d verdicts, at most %d", c.len(), most)
		}
	}
	c.drop(hot)
	if c.get(hot) != nil {
		t.Error("a dropped verdict is still there")
	}
}
