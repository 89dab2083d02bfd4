package fleet

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gatehouse/internal/contract"
)

func TestWhatIsRecalledOfInitialize(t *testing.T) {
	var r Recall
	now := time.Now()
	name := new(Server).Asks(nil, []byte("params"))
	if !r.Learn(name, []byte("result"), now) || string(r.Answer(name, now)) != "result" {
		t.Error("it is not remembered")
	}
	one, two := `{"a":1,"_meta":{"trace":"1"},"b":2}`, `{"a":1,"_meta":{"trace":"2"},"b":2}`
	if new(Server).Asks(nil, []byte(one)) != new(Server).Asks(nil, []byte(two)) {
		t.Error("a trace makes it another")
	}
	if r.Answer(new(Server).Asks(nil, []byte("other")), now) != nil || r.Answer(name, now.Add(2*recallFor)) != nil {
		t.Error("it is remembered for others, or for ever")
	}
	if r.Learn(name, []byte("another"), now) || r.Answer(name, now) != nil {
		t.Error("a server that changed is not seen")
	}
	r.Learn(name, []byte("result"), now)
	if r.Answer(name, now) != nil {
		t.Error("a server that never says the same is believed at once")
	}
	later := now.Add(2 * recallNothing)
	for i := range 3 * maxRecall / maxRecalled {
		r.Learn(new(Server).Asks(nil, fmt.Append(nil, i)), make([]byte, maxRecalled), later)
	}
	if r.bytes > maxRecall || len(r.answers) != maxRecall/maxRecalled {
		t.Errorf("%d bytes of %d answers are kept", r.bytes, len(r.answers))
	}
}

// TestWhatIsRecalledIsOfOneCredential, also where a child is told no user.
func TestWhatIsRecalledIsOfOneCredential(t *testing.T) {
	alice, bob, params := &contract.Identity{Subject: "alice"}, &contract.Identity{Subject: "bob"}, []byte("{}")
	plain := &Server{cfg: ServerConfig{Identity: TellsNone}}
	if plain.Asks(alice, params) != plain.Asks(bob, params) {
		t.Error("children that are told nothing are asked for each user")
	}
	lends := &Server{cfg: ServerConfig{Identity: TellsNone, Lend: func(context.Context, *contract.Identity) (Loan, error) {
		return nil, nil
	}}}
	if lends.Asks(alice, params) == lends.Asks(bob, params) {
		t.Error("what a child with alice's credential said is told to bob")
	}
}
