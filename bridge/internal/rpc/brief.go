package rpc

import "bytes"

// What is kept of a client's initialize for as long as its session lives. One
// that is longer is kept without what no server needs, such as icons.
const (
	MaxKept   = 8 << 10 // bytes, with the little that stands around them
	maxMember = 2 << 10 // bytes of one member of a longer one
)

// Brief is the clientInfo and the capabilities of an initialize as they are kept:
// in at most MaxKept bytes, which hold on to nothing of params.
func Brief(params []byte) (info, capabilities []byte) {
	info, capabilities = Member(params, "clientInfo"), Member(params, "capabilities")
	if len(info)+len(capabilities) <= MaxKept {
		return bytes.Clone(info), bytes.Clone(capabilities)
	}
	info = []byte(`{"name":` + ShortMember(info, "name", `"unknown"`) +
		`,"version":` + ShortMember(info, "version", `"0"`) + `}`)
	return info, []byte(ShortMember(params, "capabilities", "{}"))
}

// ShortMember is a member of an object where it is there and short.
func ShortMember(object []byte, name, otherwise string) string {
	if value := Member(object, name); value != nil && len(value) <= maxMember {
		return string(value)
	}
	return otherwise
}
