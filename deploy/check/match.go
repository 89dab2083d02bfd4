package main

import (
	"regexp"
	"strings"
)

// winner is the location of a server that nginx takes for a path: an exact one,
// else the longest prefix if it says ^~, else the first expression, else the
// longest prefix. unread are expressions that cannot be tried here.
func (p *place) winner(path string) (won *place, unread []*place) {
	var longest *place
	length := -1
	for _, l := range p.children("location") {
		modifier, pattern := l.pattern()
		switch modifier {
		case "=":
			if pattern == path {
				return l, nil
			}
		case "", "^~":
			if strings.HasPrefix(path, pattern) && len(pattern) > length {
				longest, length = l, len(pattern)
			}
		}
	}
	if longest != nil {
		if modifier, _ := longest.pattern(); modifier == "^~" {
			return longest.deeper(path), nil
		}
	}
	for _, l := range p.children("location") {
		modifier, pattern := l.pattern()
		if modifier != "~" && modifier != "~*" {
			continue
		}
		if modifier == "~*" {
			pattern = "(?i)" + pattern
		}
		expression, err := regexp.Compile(pattern)
		if err != nil {
			unread = append(unread, l)
			continue
		}
		if expression.MatchString(path) {
			return l.deeper(path), unread
		}
	}
	if longest == nil {
		return nil, unread
	}
	return longest.deeper(path), unread
}

// deeper is the location inside this one that takes the path, or this one.
func (p *place) deeper(path string) *place {
	if inner, _ := p.winner(path); inner != nil {
		return inner
	}
	return p
}

// pattern splits a location's arguments: `= /mcp`, `~ ^/x`, `/x` or `@name`.
func (p *place) pattern() (modifier, pattern string) {
	switch len(p.d.Args) {
	case 2:
		return p.d.Args[0], p.d.Args[1]
	case 1:
		for _, m := range []string{"=", "^~", "~*", "~", "@"} {
			if rest, ok := strings.CutPrefix(p.d.Args[0], m); ok {
				return m, rest
			}
		}
		return "", p.d.Args[0]
	}
	return "", ""
}

// gatePaths are paths of the gate, and the variable to which each must lead.
func gatePaths() map[string]string {
	return map[string]string{
		"/mcp": bridge, "/sse": bridge, "/message": bridge,
		"/servers/gatehouse-check/mcp": bridge, "/servers/gatehouse-check/sse": bridge,
		"/servers/gatehouse-check/message": bridge,
		"/login":                           authsvc, "/callback": authsvc, "/logout": authsvc, "/account": authsvc,
		"/account/gatehouse-check": authsvc,
		"/backchannel-logout":      authsvc, "/.well-known/oauth-protected-resource": authsvc,
		"/.well-known/oauth-protected-resource/mcp": authsvc, askURI: authsvc, "/health": "$gatehouse_health",
	}
}

// shadows finds what answers in the gate's place.
func shadows(server *place) (faults []fault) {
	for path, want := range gatePaths() {
		won, unread := server.winner(path)
		for _, l := range unread {
			faults = append(
				faults,
				l.fault("this expression cannot be tried here: see yourself that it takes none of the gate's paths",
					"write it without look-around, or as a prefix"),
			)
		}
		switch {
		case won == nil || won.name() == "location /" && !won.passesTo(want):
			faults = append(
				faults,
				server.fault("the gate does not answer at "+path, "include what conf.d/gatehouse.conf includes as it is shipped"),
			)
		case !won.passesTo(want):
			faults = append(
				faults,
				won.fault("takes "+path+", which is the gate's", "choose another path, or name it exactly (=)"),
			)
		}
	}
	for _, d := range server.own("return") {
		faults = append(
			faults,
			at(d, "`return` in the gate's server answers before every location", "put it into a location"),
		)
	}
	return faults
}
