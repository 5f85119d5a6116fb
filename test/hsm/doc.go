// Package hsm holds the engine and the gateway to keys that never leave it: made
// in a PKCS #11 token, SoftHSM's, sensitive and not extractable. What they sign
// and decrypt, OpenSSL judges.
//
// The tests need cgo and stand behind a build tag:
//
//	go test -tags pkcs11 ./test/hsm
package hsm
