package reread

import "time"

const (
	quiet  = 100 * time.Millisecond // without a word of the file: whoever writes it is done
	atMost = time.Second            // for whoever writes without end
)

// writer is whoever writes the file now, if anybody does.
type writer struct {
	silent <-chan time.Time // once it is time to read; nil while nobody writes
	timer  *time.Timer
	until  time.Time
}

func (w *writer) wrote() {
	if w.silent == nil {
		w.timer, w.until = time.NewTimer(quiet), time.Now().Add(atMost)
		w.silent = w.timer.C
		return
	}
	w.timer.Reset(min(quiet, time.Until(w.until)))
}

func (w *writer) done() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.silent = nil
}
