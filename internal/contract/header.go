package contract

// Headers by which nginx tells authsvc what was asked (auth_request).
const (
	HeaderOriginalMethod = "X-Original-Method"
	HeaderOriginalURI    = "X-Original-URI"
	HeaderRealIP         = "X-Real-IP"
	HeaderRequestID      = "X-Request-ID"
)

// Headers by which authsvc tells nginx, and nginx the bridge, who is calling.
// The edge overwrites or empties every one of them in every location.
const (
	HeaderUserID     = "X-User-Id"
	HeaderUserEmail  = "X-User-Email"
	HeaderUserName   = "X-User-Name"
	HeaderUserRoles  = "X-User-Roles"
	HeaderUserScopes = "X-User-Scopes"
	HeaderAssertion  = "X-User-Assertion"
)

// HeaderAuthStatus carries the true status of a 401 answer that auth_request
// could not have passed on: it knows only 2xx, 401 and 403.
const HeaderAuthStatus = "X-Auth-Status"

// IdentityHeaders lists the headers that speak of the caller, in the order in
// which nginx sets them.
func IdentityHeaders() []string {
	return []string{
		HeaderUserID, HeaderUserEmail, HeaderUserName,
		HeaderUserRoles, HeaderUserScopes, HeaderAssertion,
	}
}
