package reference

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A description tells its parts only as text.
var described = regexp.MustCompile(
	`fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*").* constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}\}$`)

// MetricTable is what a registry holds of the programs' own: name, kind, labels,
// and what it says. Those of Go and of the process are left out: every program
// in Go has them.
func MetricTable(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		reg.Describe(descs)
	}()
	rows := map[string]string{}
	for desc := range descs {
		m := described.FindStringSubmatch(desc.String())
		if m == nil {
			t.Errorf("cannot read the description %s", desc)
			continue
		}
		name, _ := strconv.Unquote(m[1])
		help, _ := strconv.Unquote(m[2])
		if library, _, _ := strings.Cut(name, "_"); slices.Contains([]string{"go", "process", "promhttp"}, library) {
			continue
		}
		rows[name] = Row(Code(name), kind(name), labels(m[3], m[4]), help)
	}
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	slices.Sort(names)
	text := Table("metric", "kind", "labels", "what it says")
	for _, name := range names {
		text += rows[name]
	}
	return text
}

// kind follows from the name, as Prometheus wants it named.
func kind(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_duration_seconds"):
		return "histogram"
	}
	return "gauge"
}

func labels(constant, variable string) string {
	var all []string
	for _, list := range []string{constant, variable} {
		for label := range strings.SplitSeq(list, ",") {
			if name, _, _ := strings.Cut(label, "="); name != "" {
				all = append(all, Code(name))
			}
		}
	}
	return strings.Join(all, ", ")
}
