//go:build parts

// Package policies names what enforces NetworkPolicies on the test's node. It
// has a module file of its own, since its libraries of Kubernetes are older
// than those of the other parts.
package policies

import _ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
