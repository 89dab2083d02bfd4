package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/test/load/internal/caller"
	"gatehouse/test/load/internal/report"
)

// scaleFigures are for who reckons with them.
type scaleFigures struct {
	Server         string  `json:"server"`
	Sessions       int     `json:"sessions"`
	Active         int     `json:"active"`
	SleepSeconds   float64 `json:"sleepSeconds"`
	OpenPerSecond  float64 `json:"openPerSecond"`
	BridgeKB       float64 `json:"bridgeKBPerSession"` // asleep, its stream open
	ChildMB        float64 `json:"childMB"`            // of RSS, while it is awake
	Children       float64 `json:"children"`           // awake, on average
	AllMB          int     `json:"allMB"`              // at most
	WakesPerSecond float64 `json:"wakesPerSecond"`
	CallsPerSecond float64 `json:"callsPerSecond"`
	Cores          float64 `json:"cores"`       // used while it calls
	BurstLastMS    float64 `json:"burstLastMS"` // until the last of those is awake that wake at once
	WakeP50MS      float64 `json:"wakeP50ms"`
	WakeP99MS      float64 `json:"wakeP99ms"`
	CallP50MS      float64 `json:"callP50ms"`
	CallP99MS      float64 `json:"callP99ms"`
	NotGood        int     `json:"notGood"` // answers that were wrong, foreign, lost or refused
}

func (r *scaleRun) figures() scaleFigures {
	f := scaleFigures{
		Server: r.server, Sessions: r.sessions, Active: r.active, SleepSeconds: r.sleep.Seconds(),
		OpenPerSecond: float64(r.sessions) / r.opening.Seconds(),
		BridgeKB:      float64(r.own[1]-r.own[0]) / float64(r.sessions), AllMB: r.most.RSSKB >> 10,
		WakesPerSecond: float64(len(r.burst)+len(r.wakes)) / r.calling.Seconds(),
		CallsPerSecond: float64(len(r.calls)) / r.calling.Seconds(),
		Cores:          r.used.Seconds() / r.calling.Seconds(),
		BurstLastMS:    percentile(r.burst, 1),
		WakeP50MS:      percentile(r.wakes, 0.50), WakeP99MS: percentile(r.wakes, 0.99),
		CallP50MS: percentile(r.calls, 0.50), CallP99MS: percentile(r.calls, 0.99),
	}
	for v, n := range r.counts {
		if caller.Verdict(v) != caller.Good {
			f.NotGood += n
		}
	}
	total := 0
	for _, n := range r.alive {
		total += n
	}
	f.Children = float64(total) / float64(max(1, len(r.alive)))
	if most := slices.Max(append(r.alive, 1)); most > 0 {
		f.ChildMB = float64(r.most.RSSKB-r.own[2]) / 1024 / float64(most)
	}
	return f
}

func (r *scaleRun) report() (string, error) {
	f := r.figures()
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return "", err
	}
	round := func(x float64) float64 { return float64(int(x*10+0.5)) / 10 }
	var b strings.Builder
	command := fmt.Sprintf("make bench PART=scale SCALE=%d ACTIVE=%d SERVER=%s TOLD=%s SLEEP=%v HOLD=%v",
		r.sessions, r.active, r.server, r.told, r.sleep, r.bench.hold)
	fmt.Fprintf(&b, "## Many sessions that sleep: %s\n\n%s", r.server, report.Made(command))
	fmt.Fprintf(&b, "%d users with %d sessions each at the most, each session with its standing stream open. "+
		"An active one calls every %v for %v on average, then another in its place. "+
		"RSS counts shared pages once for each process.\n\n",
		(r.sessions+scaleEach-1)/scaleEach, scaleEach, scalePause, scaleStay)
	b.WriteString("| | |\n|---|---:|\n")
	for _, row := range [][2]any{
		{"sessions open, before and after", fmt.Sprintf("%d, %d", r.sessions, r.left)},
		{"opened a second", round(f.OpenPerSecond)},
		{"RSS of the bridge before, with all asleep, at most, MB",
			fmt.Sprintf("%d, %d, %d", r.own[0]>>10, r.own[1]>>10, r.own[2]>>10)},
		{"of the bridge for a session asleep, KB", round(f.BridgeKB)},
		{"RSS of all at most, MB", f.AllMB},
		{"children awake on average, at most", fmt.Sprintf("%.0f, %d", f.Children, slices.Max(append(r.alive, 0)))},
		{"wakes a second, calls a second", fmt.Sprintf("%.2f, %.1f", f.WakesPerSecond, f.CallsPerSecond)},
		{"cores in use while it calls", fmt.Sprintf("%.2f", f.Cores)},
		{"so many wake at once: the last is answered after, ms", fmt.Sprintf("%d: %.0f", len(r.burst), f.BurstLastMS)},
		{"first call of a session, which wakes it, p50 and p99, ms", fmt.Sprintf("%.0f, %.0f", f.WakeP50MS, f.WakeP99MS)},
		{"further calls, p50 and p99, ms", fmt.Sprintf("%.1f, %.1f", f.CallP50MS, f.CallP99MS)},
		{"answers good, wrong, foreign, lost, refused", strings.Trim(fmt.Sprint(r.counts), "[]")},
	} {
		fmt.Fprintf(&b, "| %v | %v |\n", row[0], row[1])
	}
	if r.fault != nil {
		fmt.Fprintf(&b, "\nFirst fault: `%.160s`\n", strings.ReplaceAll(r.fault.Error(), "\n", " "))
	}
	fmt.Fprintf(&b, "\n```json\n%s\n```\n\n", raw)
	return b.String(), nil
}

// percentile is in milliseconds.
func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[int(p*float64(len(sorted)-1))].Microseconds()) / 1000
}
