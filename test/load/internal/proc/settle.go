package proc

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Settle waits until the machine is idle, or until so much time is over: a
// program that ends a hundred children, or that they outlive, is busy for a
// while after its last caller has left.
func Settle(atMost time.Duration) {
	const look = 50 * time.Millisecond
	for end := time.Now().Add(atMost); time.Now().Before(end); {
		before := busy()
		time.Sleep(look) // idleness is a rate: it takes time to see
		if busy()-before <= 1 {
			return
		}
	}
}

// busy counts the ticks that the machine's processors have worked (proc(5),
// /proc/stat), or nothing where that cannot be read.
func busy() (ticks int) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var user, nice, system int
	if _, err := fmt.Sscanf(line, "cpu %d %d %d", &user, &nice, &system); err != nil {
		return 0
	}
	return user + nice + system
}
