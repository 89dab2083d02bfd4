package stack

import (
	"context"
	"net/http"
	"net/url"
)

// AddUser makes a user with a verified address and the role of the gate's
// callers. The password is Password(name).
func (s *Stack) AddUser(ctx context.Context, name string) error {
	user := map[string]any{
		"username": name, "firstName": name, "lastName": "of " + Realm, "email": name + "@example.com", "emailVerified": true,
		"enabled":     true,
		"credentials": []map[string]any{{"type": "password", "value": Password(name)}},
	}
	if err := s.Admin(ctx, http.MethodPost, "/users", user, nil); err != nil {
		return err
	}
	id, err := s.find(ctx, "/users?exact=true&username="+url.QueryEscape(name), "username", name)
	if err != nil {
		return err
	}
	var role map[string]any
	if err := s.Admin(ctx, http.MethodGet, "/roles/mcp-user", nil, &role); err != nil {
		return err
	}
	return s.Admin(ctx, http.MethodPost, "/users/"+id+"/role-mappings/realm", []any{role}, nil)
}
