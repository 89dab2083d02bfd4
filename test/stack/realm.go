package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// The values that the realm file leaves open.
const (
	envPublicURL   = "GATEHOUSE_PUBLIC_URL"
	envBackchannel = "GATEHOUSE_BACKCHANNEL_URL"
	envSecret      = "GATEHOUSE_CLIENT_SECRET"
	// envGrant allows the grant by password, which the realm file refuses by
	// itself; with its default, as the file writes it.
	envGrant        = "GATEHOUSE_LOCAL_PASSWORD_GRANT"
	envGrantDefault = envGrant + ":false"
)

func (s *Stack) realmValues() map[string]string {
	return map[string]string{
		envPublicURL: s.URL,
		// Keycloak does not know the local CA: it calls authsvc by plain HTTP.
		envBackchannel: fmt.Sprintf("http://127.0.0.1:%d/backchannel-logout", s.Ports.Authsvc),
		envSecret:      clientSecret,
		envGrant:       "true", envGrantDefault: "true",
	}
}

func realmFile(root string) ([]byte, error) {
	return os.ReadFile(filepath.Join(root, "deploy/keycloak/gatehouse-realm.json"))
}

// usersFile holds the sample users, which only a local stack has.
func usersFile(root string) ([]byte, error) {
	return os.ReadFile(filepath.Join(root, "deploy/keycloak/gatehouse-users-0.json"))
}

// pointRealm tells the realm of a seed where this stack lives: what the import
// wrote are the addresses of the seed's own first start.
func (s *Stack) pointRealm(ctx context.Context, realm []byte) error {
	text := string(realm)
	for name, value := range s.realmValues() {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	var want struct {
		Clients      []map[string]any `json:"clients"`
		ClientScopes []struct {
			Name            string           `json:"name"`
			ProtocolMappers []map[string]any `json:"protocolMappers"`
		} `json:"clientScopes"`
	}
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		return err
	}
	for _, client := range want.Clients {
		name, _ := client["clientId"].(string)
		id, err := s.find(ctx, "/clients?clientId="+url.QueryEscape(name), "clientId", name)
		if err != nil {
			return err
		}
		if err := s.Admin(ctx, http.MethodPut, "/clients/"+id, client, nil); err != nil {
			return err
		}
	}
	for _, scope := range want.ClientScopes {
		if scope.Name == "mcp.access" {
			return s.pointAudience(ctx, scope.Name, scope.ProtocolMappers)
		}
	}
	return nil
}

func (s *Stack) pointAudience(ctx context.Context, scope string, mappers []map[string]any) error {
	id, err := s.find(ctx, "/client-scopes", "name", scope)
	if err != nil {
		return err
	}
	models := "/client-scopes/" + id + "/protocol-mappers/models"
	for _, mapper := range mappers {
		name, _ := mapper["name"].(string)
		if mapper["id"], err = s.find(ctx, models, "name", name); err != nil {
			return err
		}
		if err := s.Admin(ctx, http.MethodPut, fmt.Sprintf("%s/%s", models, mapper["id"]), mapper, nil); err != nil {
			return err
		}
	}
	return nil
}

// find returns the id of the one in the list whose field has this value.
func (s *Stack) find(ctx context.Context, path, field, value string) (string, error) {
	var list []map[string]any
	if err := s.Admin(ctx, http.MethodGet, path, nil, &list); err != nil {
		return "", err
	}
	for _, one := range list {
		if one[field] == value {
			id, _ := one["id"].(string)
			return id, nil
		}
	}
	return "", fmt.Errorf("keycloak: %s has no %s %q", path, field, value)
}
