// Package token finds identities whose private keys stay in a PKCS #11 token: a
// smart card, a hardware security module, or SoftHSM. The token is named by a
// URI (RFC 7512); what signs and decrypts for it are crypto.Signer,
// crypto.Decrypter and ecdh.KeyExchanger, so that no other package knows of tokens.
//
// PKCS #11 is a C interface, so that all but the URI stands behind the build tag
// pkcs11. A binary without it says so when a token is asked for.
//
// A token that does not answer is a temporary matter, whatever it was asked: its
// keys then give errors that wrap cms.ErrDevice. What a token says of a
// ciphertext never does: who sends messages must not learn from our answers
// whether a padding was good.
package token

import (
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Config says which token, and what is known besides.
type Config struct {
	// URI names a token and which of its keys (RFC 7512):
	// "pkcs11:token=mail?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/pin".
	URI string
	// Certificates serve keys that have none of their own in the token, and as
	// chains.
	Certificates []*x509.Certificate
	// LocalPart is the rule by which addresses are compared.
	LocalPart address.LocalPart
	// Timeout limits the wait for one operation; 0 is ten seconds.
	Timeout time.Duration
	Clock   func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil: nothing is logged
}

// Keys are the identities of one token.
type Keys interface {
	// Keys answer with an error as long as the token could not be asked what it
	// holds.
	certs.Keys
	// Identities returns all of them, none before the token was asked.
	Identities() []*certs.Identity
	// Err says why the token could not be asked what it holds; nil if it answered.
	Err() error
	// Close ends all sessions with the token. Its keys must not be in use.
	Close() error
}
