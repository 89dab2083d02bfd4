package sse

import "net/http"

// Prefix is for the fuzz target.
func Prefix(f *Front, r *http.Request) string { return f.prefix(r) }
