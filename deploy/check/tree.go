package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nginxinc/nginx-go-crossplane"
)

// place is a block of the configuration and the blocks around it, with every
// include in place.
type place struct {
	d  *crossplane.Directive
	up *place
}

// parse reads the configuration as nginx does. What nginx took is not tested
// again: the parser need not know every directive.
func parse(conf string) (*place, error) {
	lua := &crossplane.Lua{}
	payload, err := crossplane.Parse(conf, &crossplane.ParseOptions{
		CombineConfigs: true, StopParsingOnError: true, SkipDirectiveContextCheck: true, SkipDirectiveArgsCheck: true,
		LexOptions: crossplane.LexOptions{Lexers: []crossplane.RegisterLexer{lua.RegisterLexer()}},
	})
	if err != nil {
		return nil, fmt.Errorf("-conf %s: %w", conf, err)
	}
	return &place{d: &crossplane.Directive{File: conf, Block: payload.Config[0].Parsed}}, nil
}

func (p *place) block() crossplane.Directives {
	if p == nil {
		return nil
	}
	return p.d.Block
}

// own is the block's directives of these names, in their order.
func (p *place) own(names ...string) (found []*crossplane.Directive) {
	for _, d := range p.block() {
		if slices.Contains(names, d.Directive) {
			found = append(found, d)
		}
	}
	return found
}

// nearest is what holds in the block of a directive that is inherited whole: its
// own, or those of the nearest block around it that has any.
func (p *place) nearest(name string) []*crossplane.Directive {
	for ; p != nil; p = p.up {
		if found := p.own(name); found != nil {
			return found
		}
	}
	return nil
}

// children are the blocks of these names in the block.
func (p *place) children(names ...string) (found []*place) {
	for _, d := range p.own(names...) {
		found = append(found, &place{d, p})
	}
	return found
}

func (p *place) child(name string) *place {
	if found := p.children(name); found != nil {
		return found[0]
	}
	return nil
}

// walk visits the block and all below it.
func (p *place) walk(visit func(*place)) {
	visit(p)
	for _, d := range p.block() {
		if d.IsBlock() {
			(&place{d, p}).walk(visit)
		}
	}
}

// locations are all of a server, however deep.
func (p *place) locations() (found []*place) {
	p.walk(func(q *place) {
		if q.d.Directive == "location" {
			found = append(found, q)
		}
	})
	return found
}

// name is how the block is written.
func (p *place) name() string { return strings.Join(append([]string{p.d.Directive}, p.d.Args...), " ") }

func at(d *crossplane.Directive, what, mend string) fault {
	return fault{file: d.File, line: d.Line, what: what, mend: mend}
}

func (p *place) fault(what, mend string) fault { return at(p.d, p.name()+": "+what, mend) }

// says tells whether one of the directives has this word among its arguments.
func says(directives []*crossplane.Directive, word string) bool {
	return slices.ContainsFunc(directives, func(d *crossplane.Directive) bool { return slices.Contains(d.Args, word) })
}

// holds tells whether one of the directives, Lua perhaps, holds this text.
func holds(directives []*crossplane.Directive, text string) bool {
	return slices.ContainsFunc(directives, func(d *crossplane.Directive) bool {
		return strings.Contains(strings.Join(d.Args, " "), text)
	})
}
