package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/measure"
	"gatehouse/test/load/internal/proc"
	"gatehouse/test/load/internal/report"
)

const (
	rowBare     = "bridge, nothing of it"
	rowGoverned = "200 rules, audit, metrics"
	rowCEL      = "the same, the last rule with CEL"
	anewEach    = 2 // new processes in a round
	policyIntro = "## The price of policy, audit and metrics\n\nThe same bridge with a signed identity, " +
		"alone and with a policy of 200 rules of which the last grants the call, " +
		"an audit file and metrics. The ratio is to the bridge alone in the same run. " +
		"Each round starts the three anew, twice, since two runs of one program differ by some per cent, " +
		"and measures them forwards and backwards.\n\n"
)

// policyText is 200 rules of which the last grants the echo tool.
func policyText(when string) string {
	var b strings.Builder
	b.WriteString("default: deny\nrules:\n")
	for i := range 199 {
		fmt.Fprintf(&b, "- {name: r%d, tools: ['tool_%d_*', 'get_%d'], roles: [role-%d], scopes: [mcp.access]}\n", i, i, i, i)
	}
	fmt.Fprintf(&b, "- {name: last, tools: ['ec*'], roles: [mcp-user], scopes: [mcp.access]%s}\n", when)
	return b.String()
}

func partPolicy(ctx context.Context, b *bench) error {
	auth, err := newAuthority(ctx)
	if err != nil {
		return err
	}
	defer auth.close()
	headers, err := auth.headers(32)
	if err != nil {
		return err
	}
	signed := []string{"--identity", "signed", "--identity-keys", auth.url + "/internal/keys"}
	all := []caller.Mode{caller.MCP, caller.Stateless, caller.SSE}
	rows := []row{{name: rowBare, argv: b.bridgeArgv(signed...), modes: all, headers: headers}}
	for i, when := range []string{"", `, when: 'args.text != "" && user.email.endsWith("@example.com")'`} {
		flags, err := b.governed(fmt.Sprint("policy", i), policyText(when))
		if err != nil {
			return err
		}
		rows = append(
			rows,
			row{
				name:    []string{rowGoverned, rowCEL}[i],
				argv:    b.bridgeArgv(append(flags, signed...)...),
				modes:   all,
				headers: headers,
			},
		)
	}
	cells, err := b.anew(ctx, rows)
	if err != nil {
		return err
	}
	text := policyIntro + report.Made(b.command)
	for _, mode := range all {
		t := report.Table{Title: string(mode), Mode: mode, Base: rowBare, Cells: cells}
		text += t.Markdown() + "\n"
	}
	fmt.Print(text)
	return report.Write(b.out, "policy", text+report.Faults(cells))
}

// anew measures all rows in every round, each time on new processes. The
// difference is small, and two runs of one program differ as well.
func (b *bench) anew(ctx context.Context, rows []row) ([]*measure.Cell, error) {
	cells := make([][]*measure.Cell, len(rows))
	before := len(b.procs)
	for range anewEach * b.rounds {
		for i, r := range rows {
			p, err := b.start(ctx, r.name, r.argv)
			if err != nil {
				return nil, err
			}
			if cells[i] == nil {
				cells[i] = cellsOf(r, p)
			}
			r.point(cells[i], p)
		}
		measure.Run(slices.Concat(cells...), 2, b.window/2, progress)
		b.stop(before)
	}
	return slices.Concat(cells...), nil
}

// governed writes the files of one bridge and returns its flags.
func (b *bench) governed(name, policy string) ([]string, error) {
	file := filepath.Join(b.dir, name+".yaml")
	admin, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	flags := []string{"--policy", file, "--audit", filepath.Join(b.dir, name+".jsonl"), "--admin-listen", admin}
	return flags, os.WriteFile(file, []byte(policy), 0o600)
}
