package keycloak

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

const (
	maxNames = 1000
	nameless = time.Minute // a client without a name is shown by its id so long
)

// called is what a client is shown as.
type called struct {
	name  string
	until time.Time // zero for a name that the client has
}

// ClientName is what people call a client, or its id. It waits no longer than
// ctx lets it.
func (a *Admin) ClientName(ctx context.Context, client string) string {
	if name, known := a.known(client); known {
		return name
	}
	var found []struct{ Name string }
	err := a.call(ctx, http.MethodGet, "/clients?clientId="+url.QueryEscape(client), &found)
	switch {
	case err == nil && len(found) == 1 && found[0].Name != "":
		a.remember(client, called{name: found[0].Name})
		return found[0].Name
	case ctx.Err() == nil: // else nobody waited for the answer, and nothing is known
		a.remember(client, called{client, a.now().Add(nameless)})
	}
	return client
}

func (a *Admin) known(client string) (name string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.names[client]
	if !one.until.IsZero() && !a.now().Before(one.until) {
		return "", false
	}
	return one.name, ok
}

func (a *Admin) remember(client string, as called) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.names == nil || len(a.names) >= maxNames {
		a.names = map[string]called{}
	}
	a.names[client] = as
}
