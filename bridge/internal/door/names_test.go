package door

import (
	"regexp"
	"testing"

	"github.com/rs/zerolog"
)

func named(separator string, servers ...string) (*Door, []Part) {
	var parts []Part
	for _, s := range servers {
		parts = append(parts, Part{Name: s})
	}
	return New(Options{Parts: func() []Part { return parts }, Separator: separator, Log: zerolog.Nop()}), parts
}

var fits = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// FuzzNames: the public name of anything fits every client, leads back to what
// it stands for, and is no other's.
func FuzzNames(f *testing.F) {
	for _, seed := range [][3]string{
		{"a", "b", "echo"}, {"a", "a__b", "b__c"}, {"a", "a_", "_x"}, {"a", "b", "a name with spaces"},
		{"a", "b", "ünïcode"}, {"a", "b", "\x00\xff"}, {"x", "x__", "__"},
		{"a", "b", "longlonglonglonglonglonglonglonglonglonglonglonglonglonglong"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, one, other, tool string) {
		if one == other || !fits.MatchString(one) || !fits.MatchString(other) || tool == "" {
			return
		}
		d, parts := named("__", one, other)
		public := map[string]string{}
		for _, p := range parts {
			for _, name := range []string{tool, other + "__" + tool, tool + "_"} {
				is := d.public(parts, p.Name, name)
				if !fits.MatchString(is) {
					t.Errorf("%q of %q is called %q", name, p.Name, is)
				}
				if was, taken := public[is]; taken {
					t.Errorf("%q is both %q and %q of %q", is, was, name, p.Name)
				}
				public[is] = p.Name + " " + name
			}
		}
		for is, was := range public {
			if p, name, ok := d.resolve(parts, is); !ok || p.Name+" "+name != was {
				t.Errorf("%q leads to %q of %q, not to %q", is, name, p.Name, was)
			}
		}
	})
}

// TestNamesAreStable: a name that was shortened is the same after a restart, and
// one that fits is as it says.
func TestNamesAreStable(t *testing.T) {
	d, parts := named("__", "a", "a__b")
	for _, c := range []struct{ part, name, want string }{
		{"a", "echo", "a__echo"},
		{"a", "b__echo", "a__b__echo_077903be"}, // it would be echo of a__b
		{"a__b", "echo", "a__b__echo"},
		{"a", "say it", "a__say_it_e22ea5b3"},
	} {
		if got := d.public(parts, c.part, c.name); got != c.want {
			t.Errorf("%q of %q is %q, want %q", c.name, c.part, got, c.want)
		}
	}
	if _, _, ok := d.resolve(parts, "nobody__echo"); ok {
		t.Error("a name of no server leads somewhere")
	}
	if _, _, ok := d.resolve(parts, "a__"); ok {
		t.Error("a server's name alone leads somewhere")
	}
}
