package reference

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// Section begins at the flag First and reaches to the next one's.
type Section struct{ Title, First string }

// Program is what a test knows of a program that takes kong's flags.
type Program struct {
	Flags    []*kong.Flag
	Sections []Section // in the order of the flags
	// Says is what the program answers to these arguments; "" where it starts.
	Says func(args ...string) string
}

// Tables are the program's flags, a table for each section: the variable, the
// default, what is taken, what it does.
func (p Program) Tables(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	begins := map[string]string{}
	for _, s := range p.Sections {
		begins[s.First] = s.Title
	}
	for i, flag := range p.visible() {
		if title, ok := begins[flag.Name]; ok || i == 0 {
			if title != "" {
				out.WriteString("\n### " + title + "\n\n")
			}
			out.WriteString(Table("flag", "variable", "default", "takes", "what it does"))
			delete(begins, flag.Name)
		}
		out.WriteString(Row(Code("--"+flag.Name), variables(flag), Code(flag.Default), p.takes(flag), flag.Help))
	}
	for first, title := range begins {
		t.Errorf("the section %q begins at --%s, which is no flag", title, first)
	}
	return out.String()
}

func (p Program) visible() (all []*kong.Flag) {
	for _, flag := range p.Flags {
		if flag.Name != "help" && !flag.Hidden {
			all = append(all, flag)
		}
	}
	return all
}

func variables(flag *kong.Flag) string {
	var all []string
	for _, name := range flag.Envs {
		all = append(all, Code(name))
	}
	return strings.Join(all, ", ")
}

// takes says what a flag may be told: one of a list, a switch, or the numbers
// and times with which the program starts.
func (p Program) takes(flag *kong.Flag) string {
	var text string
	switch {
	case flag.IsBool():
		text = "a switch"
		if flag.Tag.Negatable != "" {
			text = "a switch, " + Code("--no-"+flag.Name)
		}
	case flag.Enum != "":
		text = Code(strings.Join(flag.EnumSlice(), "`, `"))
	case flag.Target.Type() == reflect.TypeFor[time.Duration]():
		text = p.span(flag, times)
	case flag.Target.Kind() == reflect.Int:
		text = p.span(flag, numbers)
	case flag.IsSlice() && flag.Tag.Sep > 0:
		text = "a list, separated by " + Code(string(flag.Tag.Sep))
	case flag.IsSlice():
		text = "text, more than once"
	case flag.PlaceHolder != "":
		text = strings.ToLower(flag.PlaceHolder)
	default:
		text = "text"
	}
	if flag.Required {
		text += "; must be given"
	}
	return text
}

// The values that a program is asked about, in order.
var (
	numbers = []string{"-1", "0", "1", "2", "65535", "65536", "1099511627776"}
	times   = []string{"-1s", "0s", "1ms", "1m", "5m", "5m1s", "1h", "12h", "24h", "8760h"}
)

// span asks the program itself, so that a bound cannot be written wrongly.
func (p Program) span(flag *kong.Flag, ladder []string) string {
	lowest, highest := -1, -1
	for i, value := range ladder {
		if !names(p.Says("--"+flag.Name+"="+value), flag.Name) {
			if lowest < 0 {
				lowest = i
			}
			highest = i
		}
	}
	unit := "a number"
	if _, err := strconv.Atoi(ladder[0]); err != nil {
		unit = "a time"
	}
	switch {
	case lowest < 0:
		return "nothing"
	case lowest == 0:
		return unit
	case lowest > 1 && ladder[lowest-1][:1] == "0":
		unit += ", more than 0"
	default:
		unit += ", from " + strings.TrimSuffix(ladder[lowest], "s")
	}
	if highest < len(ladder)-1 {
		unit += " to " + ladder[highest]
	}
	return unit
}

// names tells whether a complaint is about the flag: it begins a line of it.
func names(said, flag string) bool {
	for line := range strings.SplitSeq(strings.ReplaceAll(said, "; ", "\n"), "\n") {
		if at := strings.Index(line, "--"); at >= 0 {
			rest, found := strings.CutPrefix(line[at:], "--"+flag)
			if found && (rest == "" || !strings.ContainsAny(rest[:1], "abcdefghijklmnopqrstuvwxyz-")) {
				return true
			}
		}
	}
	return false
}
