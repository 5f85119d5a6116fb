// Package contract is what the gateway and a program that holds private keys say to
// each other: which keys there are, that another one is made, and what is signed, decrypted
// and agreed on with them. Nothing else is on that wire: no private key, no PIN, no message. docs/tokens.md
// describes it for those who write another such program.
//
// A frame is four octets with its length, the most significant first, and then one JSON
// object (RFC 8259): a [Request] to the program, a [Response] from it. The first request
// opens; then up to [MaxPending] requests are under way at once, and are answered in
// any order.
package contract

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"
)

// Version is that of the contract. A program that does not speak it refuses to open.
const Version = 1

const (
	// MaxPending is how many requests are under way at once.
	MaxPending = 8
	// maxRequest and maxResponse limit the octets of a frame, maxKeys the keys and the
	// certificates in one response.
	maxRequest  = 64 << 10
	maxResponse = 4 << 20
	maxKeys     = 1000
)

// GenerateTime is how long a program may take to make a key: primes are found by chance, and
// slowly in a card.
const GenerateTime = 2 * time.Minute

// Operation is what a request asks for.
type Operation string

// The operations.
const (
	Open    Operation = "open"    // says Version and Token; the first request
	List    Operation = "list"    // answered with Keys and Certificates
	Ready   Operation = "ready"   // answered without an error if Key can be used now
	Sign    Operation = "sign"    // signs Data, a digest, by Scheme; answered with Data
	Decrypt Operation = "decrypt" // decrypts Data by Scheme; answered with Data
	Derive  Operation = "derive"  // agrees with Data, an uncompressed point; answered with Data
	// Generate makes a key of the kind Scheme, sensitive and not extractable, named by Data, its
	// identifier, and Label; answered with one of Keys. Where there is a private key of that
	// identifier and kind already, it is the answer, and none is made.
	Generate Operation = "generate"
)

// Scheme is how a key is used, or which kind is made.
type Scheme string

// The schemes.
const (
	RSAPKCS1 Scheme = "rsa-pkcs1" // RSASSA-PKCS1-v1_5, RSAES-PKCS1-v1_5 (RFC 8017)
	RSAPSS   Scheme = "rsa-pss"   // RSASSA-PSS; the mask's hash is Hash
	RSAOAEP  Scheme = "rsa-oaep"  // RSAES-OAEP
	ECDSA    Scheme = "ecdsa"     // answered with an ECDSA-Sig-Value (RFC 5480)
	ECDH     Scheme = "ecdh"      // answered with the x-coordinate of the point
)

// The kinds of keys that are made. Each signs, and decrypts or agrees on keys.
const (
	P256    Scheme = "p256"
	P384    Scheme = "p384"
	RSA2048 Scheme = "rsa2048"
	RSA3072 Scheme = "rsa3072"
	RSA4096 Scheme = "rsa4096"
)

// Bits is the size of the modulus of an RSA key of a kind, 0 for what is no such kind.
func (s Scheme) Bits() int {
	switch s {
	case RSA2048:
		return 2048
	case RSA3072:
		return 3072
	case RSA4096:
		return 4096
	}
	return 0
}

// Curve is that of an EC key of a kind, nil for what is no such kind.
func (s Scheme) Curve() elliptic.Curve {
	switch s {
	case P256:
		return elliptic.P256()
	case P384:
		return elliptic.P384()
	}
	return nil
}

// Is reports whether a public key is of the kind.
func (s Scheme) Is(public crypto.PublicKey) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() == s.Bits()
	case *ecdsa.PublicKey:
		return public.Curve == s.Curve()
	}
	return false
}

// Algorithm is a scheme with its parameters.
type Algorithm struct {
	Scheme Scheme `json:"scheme,omitempty"`
	// Hash and MaskHash are names of hashes, such as "sha-256".
	Hash     string `json:"hash,omitempty"`
	MaskHash string `json:"mask_hash,omitempty"` // of RSAOAEP
	Salt     int    `json:"salt,omitempty"`      // octets, of RSAPSS
	Label    []byte `json:"label,omitempty"`     // of RSAOAEP, or of the key that is made
}

// Request is what the gateway asks for.
type Request struct {
	ID        uint64    `json:"id"` // returned in the response
	Operation Operation `json:"operation"`
	Version   int       `json:"version,omitempty"`
	Token     string    `json:"token,omitempty"` // a URI of RFC 7512; empty if the program knows
	Key       string    `json:"key,omitempty"`   // a name from Inventory
	Algorithm
	Data []byte `json:"data,omitempty"`
}

// Key is a private key.
type Key struct {
	// Name is any text that names the key for as long as it exists, also to another
	// process of the program.
	Name string `json:"name"`
	// Label is how the log and errors name it.
	Label string `json:"label,omitempty"`
	// Public is its SubjectPublicKeyInfo; empty if it is unknown.
	Public []byte `json:"public,omitempty"`
}

// Inventory is what a program holds.
type Inventory struct {
	Keys         []Key    `json:"keys,omitempty"`
	Certificates [][]byte `json:"certificates,omitempty"` // of keys and of their issuers, in DER
}

// Response answers one request.
type Response struct {
	ID    uint64 `json:"id"`
	Error *Error `json:"error,omitempty"`
	Inventory
	Data []byte `json:"data,omitempty"`
}

// Kind says what an error means.
type Kind string

// The kinds of errors. All that is unknown counts as Unavailable.
const (
	// Unavailable: temporary. It must not depend on the data of a Decrypt.
	Unavailable Kind = "unavailable"
	// Refused: a person has to mend it.
	Refused Kind = "refused"
	// WrongPIN: as Refused; the same PIN is not tried again, or the token locks.
	WrongPIN Kind = "wrong-pin"
	// Unsupported: the key or the token does not do this, whatever the data.
	Unsupported Kind = "unsupported"
	// Undecryptable: what was to be decrypted is not a ciphertext for the key. It is
	// the only error that depends on the data.
	Undecryptable Kind = "undecryptable"
)

// Error is an answer that is none. Its text is for the log.
type Error struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Errorf makes an error of a kind.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{kind, fmt.Errorf(format, args...).Error()}
}

// KindOf returns the kind of err, Unavailable for an error of no kind.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Unavailable
}

var hashNames = map[crypto.Hash]string{
	crypto.SHA1: "sha-1", crypto.SHA256: "sha-256", crypto.SHA384: "sha-384", crypto.SHA512: "sha-512",
}

// HashName returns the name of a hash on the wire; empty if it has none.
func HashName(h crypto.Hash) string { return hashNames[h] }

// HashOf returns the hash of a name, 0 if there is none.
func HashOf(name string) crypto.Hash {
	for h, n := range hashNames {
		if n == name {
			return h
		}
	}
	return 0
}
