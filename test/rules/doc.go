// Package rules holds the import rules as tests: what each program links and
// which packages do not know each other.
//
// It must never import what it judges: it reads `go list`.
package rules
