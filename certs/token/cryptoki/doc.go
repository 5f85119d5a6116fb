// Package cryptoki holds keys of a PKCS #11 token for certs/token/contract. The token is
// named by a URI (RFC 7512). PKCS #11 is an interface of C, so that all of the package
// needs cgo; the gateway has none of it.
package cryptoki
