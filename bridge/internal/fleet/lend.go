package fleet

import (
	"context"
	"time"

	"gatehouse/bridge/internal/child"
	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/sandbox"
	"gatehouse/internal/contract"
)

// Lend gets a child its user's own credential, before it is started. An error
// is the answer to whoever needs the child.
type Lend func(ctx context.Context, owner *contract.Identity) (Loan, error)

// Loan is the credential that one child has.
type Loan interface {
	// Place puts the credential where the child finds it: into dir, which is for
	// this child alone, or into the variables that it returns.
	Place(dir string) (env []string, err error)
	// Hide takes the credential out of what the child says (child.Options).
	Hide(text string, more bool) (shown, rest string)
	// Guard stands before the calls to the child; next may be nil.
	Guard(next mux.Guard) mux.Guard
	// Started names the child, which the loan ends where it has to be.
	Started(child Borrower)
	// Return is called once the child is gone, or was not started.
	Return()
}

// Borrower is a child that can be ended.
type Borrower interface {
	Busy() int
	Stop()
}

// lendTime bounds how long a start waits for the credential.
const lendTime = 10 * time.Second

// lend is nil where the children of this server have no credential, and for a
// child that is nobody's: that gets no user's secret, ever.
func (s *Server) lend(owner *contract.Identity) (Loan, error) {
	if s.cfg.Lend == nil || owner == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lendTime)
	defer cancel()
	return s.cfg.Lend(ctx, owner)
}

// place gives the child that is to be started its credential.
func place(loan Loan, box *sandbox.Box, spec *child.Spec) error {
	dir := ""
	if box != nil {
		dir = box.Credentials()
	}
	env, err := loan.Place(dir)
	spec.Env = append(spec.Env, env...)
	return err
}
