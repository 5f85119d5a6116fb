// Package hsm holds the engine and the gateway to keys that never leave it: made
// in a PKCS #11 token, SoftHSM's, sensitive and not extractable. What they sign
// and decrypt, OpenSSL judges.
//
// The tests need cgo, for the helper that uses the token and to make one.
package hsm
