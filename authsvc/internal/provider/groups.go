package provider

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"

	"gatehouse/authsvc/internal/claims"
	"gatehouse/internal/contract"
)

// UserName stands for a user's id in the address of groups.
const UserName = "{user}"

// groupPages bounds one question: 999 groups are on a page of Microsoft Graph.
const groupPages = 10

// groups asks for what a token says stands elsewhere: Entra leaves the groups
// out of a token of more than 200, and Microsoft Graph has them. It is asked
// only for users whose token was verified.
type groups struct {
	url, scope string

	flight singleflight.Group           // of the token
	token  atomic.Pointer[oauth2.Token] // this client's own for it
}

// page is one answer of Microsoft Graph.
type page struct {
	Value []struct {
		ID string `json:"id"`
	} `json:"value"`
	Next string `json:"@odata.nextLink"`
}

// overage asks for the groups of a person whose token had no room for them.
func (p *Provider) overage(ctx context.Context, who claims.Person) (claims.Person, error) {
	if p.groups.url == "" {
		return who, fmt.Errorf("%w: the user has more groups than a token holds, and --groups-url names nobody to ask",
			contract.ErrIdentity)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	token, err := p.ownToken(ctx)
	if err != nil {
		return who, fmt.Errorf("groups: %w", answered(err))
	}
	var all []string
	next := strings.ReplaceAll(p.groups.url, UserName, url.PathEscape(who.Subject))
	for range groupPages {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, next, nil)
		if err != nil {
			return who, err
		}
		token.SetAuthHeader(req)
		var one page
		if _, err := askJSON(p.client, req, &one); err != nil {
			return who, fmt.Errorf("groups: %w", err)
		}
		for _, group := range one.Value {
			all = append(all, group.ID)
		}
		if one.Next == "" {
			return p.cfg.Mapping.With(who, all), nil
		}
		if next, err = sameOrigin(p.groups.url, one.Next); err != nil {
			return who, err
		}
	}
	return who, fmt.Errorf("%w: the user has more than %d pages of groups", contract.ErrIdentity, groupPages)
}

// ownToken is this client's token for the groups, asked for anew when it lapses.
// All who need it share one call, and each waits for that as long as ctx lets it.
func (p *Provider) ownToken(ctx context.Context) (*oauth2.Token, error) {
	d := p.found.Load()
	if d == nil {
		return nil, ErrNotReady
	}
	if token := p.groups.token.Load(); token.Valid() {
		return token, nil
	}
	result := p.groups.flight.DoChan("token", func() (any, error) {
		return p.renewOwn(context.WithoutCancel(ctx), d.Token)
	})
	select {
	case r := <-result:
		token, _ := r.Val.(*oauth2.Token)
		return token, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// renewOwn asks the token endpoint, with the secret of now. The HTTP client has a
// limit of its own, so that a call that hangs is not shared for ever.
func (p *Provider) renewOwn(ctx context.Context, endpoint string) (*oauth2.Token, error) {
	flow := clientcredentials.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret(), TokenURL: endpoint,
		Scopes: []string{p.groups.scope}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	token, err := flow.Token(context.WithValue(ctx, oauth2.HTTPClient, p.client))
	if err != nil {
		return nil, err
	}
	p.groups.token.Store(token)
	return token, nil
}

// sameOrigin keeps the client's token where it belongs.
func sameOrigin(base, next string) (string, error) {
	a, errA := url.Parse(base)
	b, errB := url.Parse(next)
	if errA != nil || errB != nil || a.Scheme != b.Scheme || a.Host != b.Host {
		return "", fmt.Errorf("the next page of groups is at another place: %q", next)
	}
	return next, nil
}
