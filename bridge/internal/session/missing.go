package session

import (
	"errors"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
)

// asked is the error of a call as its client can use it: one that opens
// addresses is asked to open the one at which a credential is connected
// (2025-11-25, client/elicitation).
func (s *Session) asked(err error) error {
	if err == nil {
		return nil
	}
	var missing *mux.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if mux.OpensURLs(rpc.Member(rpc.Member(s.init, "params"), "capabilities")) {
		return missing.URLRequired()
	}
	return missing
}
