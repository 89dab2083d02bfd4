package rpc

import (
	"bytes"
	"slices"
	"strings"
)

// Keys in _meta that 2026-07-28 defines (basic/index, section _meta).
const (
	MetaVersion      = "io.modelcontextprotocol/protocolVersion"
	MetaClientInfo   = "io.modelcontextprotocol/clientInfo"
	MetaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	MetaLogLevel     = "io.modelcontextprotocol/logLevel"
	MetaServerInfo   = "io.modelcontextprotocol/serverInfo"
	MetaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// Methods that the bridge treats by name.
const (
	Discover     = "server/discover"
	Listen       = "subscriptions/listen"
	Acknowledged = "notifications/subscriptions/acknowledged"
	Cancelled    = "notifications/cancelled"
	Progress     = "notifications/progress"
	LogMessage   = "notifications/message"
	CallTool     = "tools/call"
	ListTools    = "tools/list"
	GetPrompt    = "prompts/get"
	ReadResource = "resources/read"
)

// MethodNotFound is the error for a method that is not served.
func MethodNotFound(method string) *Error {
	return Errorf(CodeMethodNotFound, "Method not found: %q", Clip(method, maxText/2))
}

// Removed reports whether 2026-07-28 has taken the method away (changelog,
// "Removed"), so that an older child must not answer it either.
func Removed(method string) bool {
	return slices.Contains([]string{
		"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
		"sampling/createMessage", "elicitation/create", "roots/list",
	}, method)
}

// TaskOf is the id of the task that a call of the method has begun, or "". What
// the answer to a tasks/ method tells of was there before (2025-11-25 has the task
// in the result, the extension of 2026-07-28 has the result be one).
func TaskOf(method string, result []byte) string {
	if strings.HasPrefix(method, "tasks/") || !bytes.Contains(result, []byte("taskId")) {
		return ""
	}
	id := Member(Member(result, "task"), "taskId")
	if id == nil {
		id = Member(result, "taskId")
	}
	return Text(id)
}

// Cacheable reports whether results of the method carry ttlMs and cacheScope
// (server/utilities/caching, "Cacheable Results").
func Cacheable(method string) bool {
	return slices.Contains([]string{
		Discover, ListTools, "prompts/list", "resources/list", "resources/templates/list", ReadResource,
	}, method)
}

// MayAskInput reports whether a call of the method may end in an
// input_required result (basic/patterns/mrtr, "Supported Requests").
func MayAskInput(method string) bool {
	return method == CallTool || method == GetPrompt || method == ReadResource
}

// InputMethod reports whether a child's own request may become an input
// request, and which client capability it needs.
func InputMethod(method string) (capability string, ok bool) {
	capability, ok = map[string]string{
		"elicitation/create":     "elicitation",
		"sampling/createMessage": "sampling",
		"roots/list":             "roots",
	}[method]
	return capability, ok
}

// LogLevel reports whether level is one (server/utilities/logging).
func LogLevel(level string) bool {
	return slices.Contains([]string{
		"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency",
	}, level)
}
