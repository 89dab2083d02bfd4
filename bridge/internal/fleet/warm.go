package fleet

import (
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// Children started ahead: the time to open a session is then that of its
// initialize alone. Such a child was started for nobody, so a server whose
// children learn their user (Contract 4) has none.

const warmLabel = "warm" // of its lines in the log

// Warm finds out whether a child can be had, and starts what --warm asks for.
// A child that does not start, or that ends while it waits, is followed by
// another at a sweep.
func (s *Server) Warm() {
	s.Check()
	s.refill()
}

// refill takes out what has ended and starts what is missing.
func (s *Server) refill() {
	for range len(s.spare) {
		select {
		case c := <-s.spare:
			s.keep(c)
		default:
		}
	}
	for missing := cap(s.spare) - len(s.spare) - int(s.warming.Load()); missing > 0; missing-- {
		s.warming.Add(1)
		go func() {
			defer s.warming.Add(-1)
			if c, err := s.start(&contract.Identity{Subject: "local"}, warmLabel, false); err == nil {
				s.keep(c)
			}
		}()
	}
}

// keep lets a child wait for a session while there is a place.
func (s *Server) keep(c *mux.Conn) {
	if c.Dead() != nil {
		return
	}
	select {
	case s.spare <- c:
	default:
		c.Stop()
	}
}

// ForSession returns a child of the session's own: one started ahead where
// there is one that lives, whose place is then filled again.
func (s *Server) ForSession(owner *contract.Identity, label string) (*mux.Conn, error) {
	for {
		select {
		case c := <-s.spare:
			s.refill()
			if c.Dead() == nil {
				s.cfg.Log.Debug().Str("session", label).Msg("the session takes a warm child")
				return c, nil
			}
		default:
			return s.start(owner, label, false)
		}
	}
}
