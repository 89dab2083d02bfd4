package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	section = "users to hosts"
	seed    = 1
	busy    = 0.7 // of its cores and memory a host is used, at the peak second
	hostGB  = 24  // of a host that has as many cores as the machine that was measured
	mostMB  = hostGB * 1024 * busy
)

func sizes() []int { return []int{1_000, 10_000, 100_000, 1_000_000} }

// need is how many hosts a part needs for one reason.
type need struct {
	hosts float64
	of    string
}

// needs are all reasons of a part, the first that it is short of in front.
func needs(all ...need) []need {
	slices.SortStableFunc(all, func(a, b need) int { return cmp.Compare(b.hosts, a.hosts) })
	return all
}

// whole is how many hosts the part needs.
func whole(n []need) int { return max(1, int(math.Ceil(n[0].hosts))) }

// cpu is the need of an operation that comes so often and costs so much.
func (f figures) cpu(rate, per10k float64) need {
	return need{rate * per10k / 1e4 / (float64(f.cores) * busy), "CPU"}
}

func (f figures) nginx(l load) []need {
	streams := float64(l.users)
	return needs(f.cpu(l.calls, f.nginxCPU), need{streams * f.nginxKB / 1024 / mostMB, "memory of open streams"},
		// A stream holds two connections: the client's and the bridge's.
		need{2 * streams / float64(f.connections*f.cores), "`worker_connections`"})
}

func (f figures) authsvc(l load) []need {
	return needs(f.cpu(l.asks, f.askCPU), need{float64(l.users) * f.authsvcKB / 1024 / mostMB, "memory of remembered sessions"})
}

// redis does all on one core, and there is one master, so it is what the others
// cannot outgrow.
func (f figures) redis(l load) []need {
	return needs(need{l.asks * f.lookCPU / 1e4 / busy, "its one core"},
		need{float64(l.users) * f.redisKB / 1024 / mostMB, "memory of sessions"})
}

func (f figures) bridge(l load) []need {
	own := float64(l.users) * f.bridgeKB / 1024
	all := []need{
		f.cpu(l.calls, f.bridgeCPU), {float64(l.users) / float64(f.sessions), "`--max-sessions`"}, {own / mostMB, "its own memory"},
	}
	if f.sleeper != nil {
		all = append(all, need{(own + float64(l.awake)*f.sleeper.ChildMB) / mostMB, "memory of children that are awake"})
	}
	return needs(all...)
}

// table is the section of the page.
func table(root string) (string, error) {
	f, err := read(root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| users at once | calls/s | questions to authsvc, and looks at Redis, a second | children awake, wakes/s " +
		"| nginx hosts | authsvc hosts | bridges |\n|---:|---:|---:|---:|---:|---:|---:|\n")
	var last load
	for _, users := range sizes() {
		l := simulate(users, seed)
		fmt.Fprintf(&b, "| %s | %s | %s | %s, %s | %d | %d | %d |\n", thousands(float64(users)), thousands(l.calls), thousands(l.asks),
			thousands(float64(l.awake)), thousands(l.wakes), whole(f.nginx(l)), whole(f.authsvc(l)), whole(f.bridge(l)))
		last = l
	}
	b.WriteString("\n| one host of | is full at so many users, first of |\n|---|---|\n")
	for _, part := range []struct {
		name  string
		needs []need
	}{{"nginx", f.nginx(last)}, {"authsvc", f.authsvc(last)}, {"the bridge", f.bridge(last)}, {"Redis", f.redis(last)}} {
		var limits []string
		for _, n := range part.needs {
			limits = append(limits, thousands(float64(last.users)/n.hosts)+": "+n.of)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", part.name, strings.Join(limits, "; "))
	}
	fmt.Fprintf(&b, "\n%s\n", f.said())
	return b.String(), nil
}

// said is what the table stands on.
func (f figures) said() string {
	children := "Memory of children is not in the table yet: `make bench PART=scale` measures it.\n"
	if f.sleeper != nil {
		children = fmt.Sprintf("A child is one of %s, %.0f MB while it is awake.\n", f.sleeper.Server, f.sleeper.ChildMB)
	}
	return fmt.Sprintf(`A host has %d cores and %d GB, as the machine that was measured, and is used to %.0f %%
at the peak second. Its costs are read from benchmarks.md: for 10,000 requests
nginx %.2f s of CPU, a question to authsvc %.2f, a look at Redis %.2f there, a call at the
bridge %.2f; for a session %.0f KB at nginx and %.0f at the bridge with its stream open, %.1f
at authsvc, %.1f in Redis. `+children+
		`
Of users it is assumed that each has one session open, calls %d times, %.0f s apart, then
pauses for %.0f min, all on average and at random; that nginx remembers a verdict for
%.0f s; and that a session sleeps after %.0f min (`+"`--sleep %.0fm`"+`). The seed is fixed: the table
is the same each time.
`, f.cores, hostGB, 100*busy, f.nginxCPU, f.askCPU, f.lookCPU, f.bridgeCPU, f.nginxKB, f.bridgeKB, f.authsvcKB, f.redisKB,
		burst, between.Seconds(), pause.Minutes(), verdict.Seconds(), asleep.Minutes(), asleep.Minutes())
}

// thousands writes a number as people read it.
func thousands(x float64) string {
	switch {
	case x < 10:
		return fmt.Sprintf("%.1f", x)
	case x < 10_000:
		return fmt.Sprintf("%.0f", x)
	}
	text := fmt.Sprintf("%.0f", x)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
