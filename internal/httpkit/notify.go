package httpkit

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Notifier speaks sd_notify(3) with the service manager that started this
// process. Without a manager (NOTIFY_SOCKET is not set) it does nothing.
type Notifier struct {
	socket   string
	interval time.Duration // zero: the manager set no watchdog
}

// NewNotifier reads NOTIFY_SOCKET and WATCHDOG_USEC through getenv.
func NewNotifier(getenv func(string) string) (*Notifier, error) {
	n := &Notifier{socket: getenv("NOTIFY_SOCKET")}
	usec := getenv("WATCHDOG_USEC")
	if n.socket == "" || usec == "" {
		return n, nil
	}
	v, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || v <= 0 || v > int64(24*time.Hour/time.Microsecond) {
		return nil, fmt.Errorf("WATCHDOG_USEC %q: want microseconds, at most a day", usec)
	}
	// sd_watchdog_enabled(3): notify at every half of the time.
	n.interval = time.Duration(v) * time.Microsecond / 2
	return n, nil
}

// Ready says that the start is over: the listeners are open.
func (n *Notifier) Ready() error { return n.send("READY=1") }

// Stopping says that the drain has begun.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Watchdog sends a sign of life until ctx ends. It proves that the runtime
// still schedules, not that a part behind the program answers: an outage of
// a store must not make the manager restart what would find it still out.
func (n *Notifier) Watchdog(ctx context.Context) error {
	if n.interval == 0 {
		return nil
	}
	tick := time.NewTicker(n.interval)
	defer tick.Stop()
	for {
		if err := n.send("WATCHDOG=1"); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (n *Notifier) send(state string) error {
	if n.socket == "" {
		return nil
	}
	// A leading @ names an abstract socket; package net knows that form too.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}
