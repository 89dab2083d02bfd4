package stateless

import (
	"errors"
	"net/http"

	"gatehouse/bridge/internal/mux"
	"gatehouse/bridge/internal/rpc"
	"gatehouse/bridge/internal/translate"
)

// connectKey names the bridge's own question among those of one answer.
const connectKey = "gatehouse-connect"

// fail answers for a call that its child was not given. A client that opens
// addresses is asked to open the one at which a missing credential is connected
// (2026-07-28, client/elicitation), once: an answer without the credential gets
// the error that says the same in words.
func (x *exchange) fail(err error) {
	var missing *mux.MissingError
	if !errors.As(err, &missing) || !rpc.MayAskInput(x.req.Method) || !mux.OpensURLs(x.req.Capabilities) {
		writeFailure(x.w, x.req.ID, err)
		return
	}
	answers, wrong := x.req.Params.Object("inputResponses")
	if wrong != nil || answers.Has(connectKey) {
		writeFailure(x.w, x.req.ID, err)
		return
	}
	ask := translate.InputRequired([]translate.Edit{{Key: connectKey, Value: missing.Elicitation()}}, "", nil)
	x.out.Last(http.StatusOK, translate.Result(x.req.ID, ask))
}

// forChild is the request without the answer to the bridge's own question.
func (x *exchange) forChild() []byte {
	answers, err := x.req.Params.Object("inputResponses")
	if err != nil || !answers.Has(connectKey) {
		return x.req.ForChild(!x.child.modern)
	}
	rest := answers.With(translate.Edit{Key: connectKey, Value: nil})
	if string(rest) == "{}" {
		rest = nil
	}
	params, err := translate.Parse(x.req.Params.With(translate.Edit{Key: "inputResponses", Value: rest}))
	if err != nil {
		return x.req.ForChild(!x.child.modern)
	}
	without := *x.req
	without.Params = params
	return without.ForChild(!x.child.modern)
}
