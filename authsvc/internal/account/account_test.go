package account

import (
	"context"
	"slices"
	"testing"
	"time"

	"gatehouse/authsvc/internal/ending"
	"gatehouse/authsvc/internal/session"
)

// namer notes until when each name is waited for.
type namer struct {
	ending.Provider
	until []time.Time
}

func (n *namer) ClientName(ctx context.Context, client string) string {
	at, _ := ctx.Deadline()
	n.until = append(n.until, at)
	return "the " + client
}

// A page waits so long for all the names on it, be they many, and is then shown.
func TestTheNamesOfAPageHaveOneDeadline(t *testing.T) {
	begin, provider := time.Now(), &namer{}
	h := &Handler{Ender: &ending.Ender{Provider: provider}}
	got := h.clients(t.Context(), []session.Noted{{Client: "editor"}, {Client: "cli"}, {Client: "editor"}})
	if len(got) != 3 || got[1].ID != "cli" || got[1].Name != "the cli" {
		t.Errorf("clients %+v", got)
	}
	at := slices.Compact(provider.until)
	if len(at) != 1 || at[0].Before(begin) || at[0].After(time.Now().Add(2*time.Second)) {
		t.Errorf("waits until %v, want one time within 2 s", at)
	}
}
