// Package softhsmtest makes tokens of SoftHSM for tests, with keys that are
// generated in them, sensitive and not extractable. It needs cgo and stands
// behind the build tag pkcs11.
package softhsmtest
