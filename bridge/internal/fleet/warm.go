package fleet

import (
	"gatehouse/bridge/internal/mux"
	"gatehouse/internal/contract"
)

// Children started ahead: the time to open a session is then that of its
// initialize alone. Such a child was started for nobody, so a server whose
// children learn their user (Contract 4) has none.

// Warm starts what --warm asks for. Call it once.
func (s *Server) Warm() {
	for range cap(s.spare) {
		s.warmOne()
	}
}

func (s *Server) warmOne() {
	c, err := s.start(&contract.Identity{Subject: "local"}, "warm", false)
	if err != nil {
		return // the next session tells why
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
			go s.warmOne()
			if c.Dead() == nil {
				s.cfg.Log.Debug().Str("session", label).Msg("the session takes a warm child")
				return c, nil
			}
		default:
			return s.start(owner, label, false)
		}
	}
}
