package httpkit_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"gatehouse/internal/httpkit"
)

// accepted is one end of a connection through a coarse listener; the other end
// never writes or reads.
func accepted(t *testing.T) net.Conn {
	t.Helper()
	var lc net.ListenConfig
	inner, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := httpkit.Coarse(inner)
	var d net.Dialer
	client, err := d.DialContext(t.Context(), "tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = c.Close(), client.Close(), l.Close() })
	return c
}

// readEnds returns the error by which a read ended within the time, or fails.
func readEnds(t *testing.T, c net.Conn, within time.Duration) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(within):
		_ = c.Close()
		drop(<-ended)
		t.Fatalf("the read went on for %s", within)
		return nil
	}
}

func TestCoarseDeadlineEndsARead(t *testing.T) {
	c := accepted(t)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := readEnds(t, c, 10*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the read ended with %v", err)
	}
}

func TestCoarseDeadlineEndsAWrite(t *testing.T) {
	c := accepted(t)
	if err := c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for {
		if _, err := c.Write(block); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the write ended with %v", err)
			}
			return
		}
	}
}

func TestCoarseDeadlineInThePastIsNotCoarse(t *testing.T) {
	var took time.Duration
	for range 3 { // a busy machine can be late once, a sweep always is
		c := accepted(t)
		start := time.Now()
		if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if err := readEnds(t, c, 10*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the read ended with %v", err)
		}
		if took = time.Since(start); took < 900*time.Millisecond {
			return
		}
	}
	t.Errorf("the read ended after %s, three times", took)
}

func TestCoarseDeadlineCanBeTakenBack(t *testing.T) {
	c := accepted(t)
	for _, at := range []time.Time{time.Now().Add(10 * time.Millisecond), time.Unix(1, 0), {}} {
		if err := c.SetDeadline(at); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Errorf("the read ended with %v though no deadline stands", err)
	case <-time.After(2500 * time.Millisecond): // two sweeps
		_ = c.Close()
		drop(<-ended)
	}
}

// drop says that an error tells nothing here.
func drop(error) {}
