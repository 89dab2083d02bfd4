package credential

import (
	"context"

	"gatehouse/bridge/internal/mux"
)

// Guard stands before the calls to the child: each is marked with the
// credential that the child has, and where it has none yet, what would use one
// is refused until its user has connected it.
func (l *Loan) Guard(next mux.Guard) mux.Guard { return guard{l, next} }

type guard struct {
	loan *Loan
	next mux.Guard
}

// Begin implements mux.Guard.
func (g guard) Begin(ctx context.Context, call *mux.CallInfo) (mux.Watch, error) {
	call.Credential = g.loan.want.From
	var watch mux.Watch
	if g.next != nil {
		var err error
		if watch, err = g.next.Begin(ctx, call); err != nil {
			return nil, err
		}
	}
	if !uses(call.Method) {
		return watch, nil
	}
	if err := g.loan.ready(ctx); err != nil {
		if watch != nil {
			watch.Release()
			watch.End(mux.Outcome{Status: "error"})
		}
		return nil, err
	}
	return watch, nil
}

// Again implements mux.Guard.
func (g guard) Again(ctx context.Context, call *mux.CallInfo) error {
	if g.next == nil {
		return nil
	}
	return g.next.Again(ctx, call)
}

// uses tells what a server may need its user's credential for; lists it gives
// without.
func uses(method string) bool {
	switch method {
	case "tools/call", "resources/read", "prompts/get", "completion/complete":
		return true
	}
	return false
}

// ready makes sure that the child has its credential. Its user may have
// connected it a moment ago.
func (l *Loan) ready(ctx context.Context) error {
	if l.there() {
		return nil
	}
	l.asking.Lock()
	defer l.asking.Unlock()
	if l.there() {
		return nil
	}
	answer, err := l.keeper.fetch(ctx, l, "")
	if err == nil {
		err = l.take(answer)
	}
	if err != nil {
		return l.keeper.refusal(l, err)
	}
	if answer.Missing != nil {
		l.write("missing")
		return &mux.MissingError{Label: answer.Missing.Label, Connect: answer.Missing.Connect}
	}
	return nil
}

// there reports whether the child has it.
func (l *Loan) there() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.secret != ""
}
