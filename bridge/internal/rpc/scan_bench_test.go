//go:build unix

package rpc

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// used is the CPU time of this thread: the machine may be busy with other work.
func used() int64 {
	var u syscall.Rusage
	const thisThread = 1
	_ = syscall.Getrusage(thisThread, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkScan is what one pass over a body costs, strict and loose.
func BenchmarkScan(b *testing.B) {
	const n = 1 << 20
	keys := func() string {
		var s strings.Builder
		for i := 0; s.Len() < n; i++ {
			fmt.Fprintf(&s, `"k%d":1,`, i)
		}
		return s.String() + `"":0`
	}
	for name, text := range map[string]string{
		"string":  `{"a":"` + strings.Repeat("x", n) + `"}`,
		"keys":    `{"a":{` + keys() + `}}`,
		"empty":   `{"a":{` + strings.Repeat(`"":0,`, n/5) + `"":0}}`,
		"lists":   `{"a":[` + strings.Repeat(`[],`, n/3) + `1]}`,
		"numbers": `{"a":[` + strings.Repeat(`1,`, n/2) + `1]}`,
		"escapes": `{"a":"` + strings.Repeat(`\u0041`, n/6) + `"}`,
	} {
		for _, strict := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/strict=%v", name, strict), func(b *testing.B) {
				runtime.LockOSThread()
				began := used()
				defer func() { b.ReportMetric(float64(used()-began)/float64(b.N)/float64(len(text)), "cpu-ns/B") }()
				for b.Loop() {
					s := scanner{b: []byte(text), strict: strict}
					if _, err := s.value(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(name+"/members", func(b *testing.B) {
			runtime.LockOSThread()
			began := used()
			defer func() { b.ReportMetric(float64(used()-began)/float64(b.N)/float64(len(text)), "cpu-ns/B") }()
			inner := []byte(text[5 : len(text)-1])
			if inner[0] != '{' {
				b.Skip()
			}
			var a, c, d, e, f Span
			for b.Loop() {
				s := scanner{b: inner}
				if err := s.object([]member{{"progressToken", &a}, {"requestId", &c}, {"name", &d}, {"uri", &e}, {"_meta", &f}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
