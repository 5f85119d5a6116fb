// Package hsm holds the engine to keys that it never sees: made in a PKCS #11
// token, SoftHSM's, sensitive and not extractable. The engine signs, decrypts
// and agrees on keys through crypto.Signer, crypto.Decrypter and cms.Agreement
// alone.
//
// The tests need cgo and stand behind a build tag:
//
//	go test -tags pkcs11 ./test/hsm
package hsm
