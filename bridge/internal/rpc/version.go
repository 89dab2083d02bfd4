package rpc

import "encoding/json"

// The protocol versions, oldest first.
const (
	Version20241105 = "2024-11-05"
	Version20250326 = "2025-03-26"
	Version20250618 = "2025-06-18"
	Version20251125 = "2025-11-25"
	Version20260728 = "2026-07-28"
)

// HasSessions reports whether v is a version that begins with initialize.
func HasSessions(v string) bool {
	switch v {
	case Version20241105, Version20250326, Version20250618, Version20251125:
		return true
	}
	return false
}

// Versions lists what the bridge speaks on one endpoint, newest first. Each is
// served whatever the child speaks.
func Versions() []string {
	return []string{Version20260728, Version20251125, Version20250618, Version20250326, Version20241105}
}

// UnsupportedVersion is the error for a version that is none of Versions
// (2026-07-28, basic/versioning).
func UnsupportedVersion(requested string) *Error {
	const most = 64 // bytes that are told back
	e := Errorf(CodeUnsupportedVersion, "Unsupported protocol version %q", Clip(requested, most))
	e.Data, _ = json.Marshal(map[string]any{"supported": Versions(), "requested": Clip(requested, most)}) // strings only
	return e
}
