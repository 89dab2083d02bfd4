// Command grafana decodes a dashboard into the types that Grafana generates
// from its own schemas: an unknown field or a wrong type is an error, in panels
// and queries too. It needs no server, and does not know what only a server
// checks; it looks itself that panels have ids of their own, lie beside each
// other and ask a data source that is provisioned.
//
//	grafana DASHBOARD.json DATASOURCES.yml
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"gopkg.in/yaml.v3"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: grafana DASHBOARD.json DATASOURCES.yml")
		os.Exit(2)
	}
	n, err := check(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintf(os.Stderr, "grafana: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Printf("grafana: %d panels decode strictly\n", n)
}

func check(file, sourcesFile string) (panels int, err error) {
	sources, err := provisioned(sourcesFile)
	if err != nil {
		return 0, err
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	plugins.RegisterDefaultPlugins() // the types of panels and queries
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(raw); !none(err) {
		return 0, err
	}
	var board dashboard.Dashboard
	if err := json.Unmarshal(raw, &board); err != nil {
		return 0, err
	}
	if err := whole(raw, board); err != nil {
		return 0, err
	}
	ids := map[uint32]bool{}
	for i, one := range board.Panels {
		panel := one.Panel
		if panel == nil || panel.Id == nil || panel.Title == nil || panel.GridPos == nil {
			return 0, fmt.Errorf("panel %d: no panel with id, title and gridPos", i+1)
		}
		if ids[*panel.Id] {
			return 0, fmt.Errorf("panel %q: its id %d is another's too", *panel.Title, *panel.Id)
		}
		ids[*panel.Id] = true
		for _, before := range board.Panels[:i] {
			if overlap(*panel.GridPos, *before.Panel.GridPos) {
				return 0, fmt.Errorf("panel %q lies on panel %q", *panel.Title, *before.Panel.Title)
			}
		}
		if err := asks(panel, sources); err != nil {
			return 0, fmt.Errorf("panel %q: %w", *panel.Title, err)
		}
	}
	return len(board.Panels), nil
}

// whole reports a field that the decoded dashboard does not have any more: the
// strict decoder does not look into fieldConfig and queries.
func whole(raw []byte, board dashboard.Dashboard) error {
	again, err := json.Marshal(board)
	if err != nil {
		return err
	}
	var before, after any
	if err := errors.Join(json.Unmarshal(raw, &before), json.Unmarshal(again, &after)); err != nil {
		return err
	}
	return lost("", before, after)
}

func lost(path string, before, after any) error {
	switch was := before.(type) {
	case map[string]any:
		is, _ := after.(map[string]any)
		for name, value := range was {
			if list, ok := value.([]any); ok && len(list) == 0 {
				continue // Grafana writes no empty lists
			}
			if _, there := is[name]; !there {
				return fmt.Errorf("%s.%s: no such field", path, name)
			}
			if err := lost(path+"."+name, value, is[name]); err != nil {
				return err
			}
		}
	case []any:
		is, _ := after.([]any)
		for i := range min(len(was), len(is)) {
			if err := lost(fmt.Sprintf("%s[%d]", path, i), was[i], is[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// none tells that decoding found no fault: it then returns an empty list of
// them, which is not nil.
func none(err error) bool {
	var faults cog.BuildErrors
	return err == nil || errors.As(err, &faults) && len(faults) == 0
}

// provisioned are the uids of the data sources in a provisioning file.
func provisioned(file string) (map[string]bool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var text struct {
		Datasources []struct {
			UID string `yaml:"uid"`
		} `yaml:"datasources"`
	}
	if err := yaml.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	uids := map[string]bool{}
	for _, source := range text.Datasources {
		uids[source.UID] = true
	}
	return uids, nil
}

func overlap(a, b dashboard.GridPos) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// asks reports an error where a panel asks nothing, or asks nobody.
func asks(panel *dashboard.Panel, sources map[string]bool) error {
	if panel.Datasource == nil || panel.Datasource.Uid == nil || !sources[*panel.Datasource.Uid] {
		return errors.New("its data source is not provisioned")
	}
	if len(panel.Targets) == 0 {
		return errors.New("it has no query")
	}
	refs := map[string]bool{}
	for _, target := range panel.Targets {
		query, ok := target.(*prometheus.Dataquery)
		if !ok {
			return fmt.Errorf("its query is a %T", target)
		}
		if query.Expr == "" || query.RefId == nil || refs[*query.RefId] {
			return fmt.Errorf("query %q is empty, or its refId missing or another's too", query.Expr)
		}
		refs[*query.RefId] = true
	}
	return nil
}
