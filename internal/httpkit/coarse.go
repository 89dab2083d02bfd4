package httpkit

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// coarseTick is how late a deadline of a coarse connection may be.
const coarseTick = time.Second

// Coarse makes the deadlines of the listener's connections coarse. net/http
// moves a connection's deadline three times for each request; each move
// re-arms a timer of the runtime and may wake a thread for it, which is a
// tenth of what a small request costs. Here a move is one store, and one sweep
// a second ends those whose time is over. A deadline long past, by which a read
// is broken off, is set at once.
func Coarse(l net.Listener) net.Listener {
	return &coarse{Listener: l, conns: map[*coarseConn]struct{}{}}
}

type coarse struct {
	net.Listener
	mu    sync.Mutex
	conns map[*coarseConn]struct{}
	swept bool         // a sweep is to come
	now   atomic.Int64 // of the last sweep, in nanoseconds: a clock that costs nothing to read
}

// Accept implements net.Listener.
func (l *coarse) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &coarseConn{Conn: inner, all: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Store(time.Now().UnixNano())
	l.conns[c] = struct{}{}
	l.arm()
	return c, nil
}

// sweep ends what is over.
func (l *coarse) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now().UnixNano()
	l.now.Store(now)
	for c := range l.conns {
		if c.read.over(now) {
			_ = c.Conn.SetReadDeadline(past)
		}
		if c.write.over(now) {
			_ = c.Conn.SetWriteDeadline(past)
		}
	}
	l.swept = false
	l.arm()
}

// arm lets a sweep come while a connection is open. The lock is held.
func (l *coarse) arm() {
	if !l.swept && len(l.conns) > 0 {
		l.swept = true
		time.AfterFunc(coarseTick, l.sweep)
	}
}

var past = time.Unix(1, 0)

// limit is a deadline in nanoseconds, 0 for none.
type limit struct {
	at   atomic.Int64
	hard atomic.Bool // the connection below has one of its own
}

func (l *limit) over(now int64) bool {
	at := l.at.Load()
	if at == 0 || now < at {
		return false
	}
	l.hard.Store(true)
	return true
}

// move notes t, and sets it below where it cannot wait for the sweep.
func (l *limit) move(t time.Time, now int64, set func(time.Time) error) error {
	at := int64(0)
	if !t.IsZero() {
		at = t.UnixNano()
	}
	if at != 0 && at <= now {
		l.hard.Store(true)
		return set(t)
	}
	l.at.Store(at)
	if l.hard.Load() && l.hard.Swap(false) {
		return set(time.Time{})
	}
	return nil
}

type coarseConn struct {
	net.Conn
	all         *coarse
	read, write limit
}

// SetReadDeadline implements net.Conn.
func (c *coarseConn) SetReadDeadline(t time.Time) error {
	return c.read.move(t, c.all.now.Load(), c.Conn.SetReadDeadline)
}

// SetWriteDeadline implements net.Conn.
func (c *coarseConn) SetWriteDeadline(t time.Time) error {
	return c.write.move(t, c.all.now.Load(), c.Conn.SetWriteDeadline)
}

// SetDeadline implements net.Conn.
func (c *coarseConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// Close implements net.Conn.
func (c *coarseConn) Close() error {
	c.all.mu.Lock()
	delete(c.all.conns, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}
