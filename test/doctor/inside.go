package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// partsMend says what a part of authsvc's own health needs where it fails.
var partsMend = map[string]string{
	"client": "the provider refuses this client: --client-id, and the secret in --client-secret-file " +
		"(/etc/gatehouse/credentials/client-secret)",
	"store":    "Redis does not answer: --redis-url (/etc/gatehouse/credentials/redis-url)",
	"provider": "the provider or its keys are out of reach: --issuer, --issuer-internal",
	"keys": "no assertion key: Redis, and the --store-key-file of the other replicas " +
		"(/etc/gatehouse/credentials/store-key)",
}

// insideAuthsvc asks authsvc's internal listener what it lacks to sign people in.
func insideAuthsvc(ctx context.Context, g *gate) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.authsvc+"/health/ready/browsers", nil)
	if err != nil {
		return err
	}
	res, err := g.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	if res.StatusCode == http.StatusOK {
		return nil
	}
	var health struct{ Parts map[string]string }
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, 64<<10)).Decode(&health); err != nil {
		return fmt.Errorf("%s answers %s and no health", g.authsvc, res.Status)
	}
	var failed []string
	for part, state := range health.Parts {
		if state != "ok" {
			failed = append(failed, part+": "+partsMend[part])
		}
	}
	slices.Sort(failed)
	return errors.New(strings.Join(failed, "; "))
}
