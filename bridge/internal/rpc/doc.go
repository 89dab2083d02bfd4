// Package rpc is the wire: the heads of JSON-RPC messages, read without
// decoding what they carry, the raw bytes of ids and tokens, lines of bounded
// length, and the names, codes and versions of the protocol.
//
// It reads each byte a few times at most, whatever a sender makes of it, and
// takes nothing that is not JSON (RFC 8259).
//
// What it promises: an id or a token is handed on byte for byte; a message
// that two parsers could read in two ways (a key given twice, in other case or
// with escapes) is refused, because a check on one reading would not hold for
// the other. It must never know what a tool takes or a transport.
package rpc
