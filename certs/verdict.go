// Package certs has the words that the rest of the program uses for certificates:
// identities (private keys with their chain), where certificates come from, the
// question whether one may be used for a purpose and an address now, and the
// answer with its reason. Package path answers it; package file reads and writes.
package certs

import (
	"context"
	"crypto"
	"crypto/x509"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Result is a word of RFC 8601 section 2.7 and RFC 7281.
type Result string

// The results.
const (
	None      Result = "none"
	Pass      Result = "pass"
	Fail      Result = "fail"
	PolicyNo  Result = "policy"
	Neutral   Result = "neutral"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Purpose is what a certificate is to be used for.
type Purpose string

// The purposes.
const (
	ForSigning    Purpose = "sign"
	ForEncryption Purpose = "encrypt"
)

// RevocationMode says what an unknown revocation status means.
type RevocationMode string

// The modes: no answer is a refusal, no answer is tolerated, no check is made.
const (
	RevocationRequire RevocationMode = "require"
	RevocationPrefer  RevocationMode = "prefer"
	RevocationOff     RevocationMode = "off"
)

// Request is the question.
type Request struct {
	Purpose Purpose
	// Addresses are the mailboxes of which the certificate must name one. None:
	// the identity is not checked.
	Addresses []address.Address
	// Intermediates came with the certificate, in any number and order; they
	// are hints and not trusted.
	Intermediates []*x509.Certificate
	// CRLs came with the message, DER; they count only after their signature.
	CRLs [][]byte
	// Revocation overrides the validator's mode where it is not "".
	Revocation RevocationMode
	// At is the time of judgement; zero is now.
	At time.Time
}

// Verdict is the answer.
type Verdict struct {
	// Result is Pass, Fail, PolicyNo (sound, and refused by configuration) or
	// TempError (unknown: it can not be decided now).
	Result Result
	// Reason is the reason word of docs/reasons.md, "" for Pass.
	Reason Reason
	// Detail says more for people: which certificate, which date.
	Detail string
	// Chain is the path found, leaf first, trust anchor last; what was built of
	// it when none is trusted.
	Chain []*x509.Certificate
	// ChainState is "trusted", "untrusted" or "unchecked".
	ChainState string
	// Revocation is "good", "revoked", "unknown" or "unchecked".
	Revocation string
	// Until is when the first of the revocation answers, or the allowance, that a
	// pass rests on ends, and the question must be asked again; zero where there
	// is none.
	Until time.Time
}

// Checker judges certificates. path.Validator is the one implementation; tests
// make others. Check never returns an error: what could not be found out is a
// Verdict of TempError.
type Checker interface {
	Check(ctx context.Context, cert *x509.Certificate, r Request) Verdict
}

// Identity is a private key with its chain.
type Identity struct {
	// Certificate is the end entity.
	Certificate *x509.Certificate
	// Chain holds the intermediates, without the trust anchor.
	Chain []*x509.Certificate
	// Key is a crypto.Signer, a crypto.Decrypter or an ECDH-capable key,
	// whatever holds it: see package cms for the interfaces understood.
	Key crypto.PrivateKey
	// Pinned makes it sign for its addresses even where a newer one could.
	Pinned bool
}

// Keys finds identities.
type Keys interface {
	DecryptionKeys
	// Signing returns the identity that signs for addr now, or nil when there
	// is none. An identity outside its validity is not returned.
	Signing(ctx context.Context, addr address.Address) (*Identity, error)
	// ForReplies returns the identity with the newest certificate that names addr,
	// can be encrypted to and is valid now; nil if there is none.
	ForReplies(ctx context.Context, addr address.Address) (*Identity, error)
	// WhyNot returns in words why no identity signs for addr now, "revoked
	// 2026-03-01"; "" if there is none for it at all, or the reason is unknown.
	WhyNot(ctx context.Context, addr address.Address) string
}

// DecryptionKeys finds identities to decrypt with.
type DecryptionKeys interface {
	// Decryption returns every identity whose certificate bears the issuer
	// (raw DER name) and serial, or the subject key identifier, of a recipient
	// info (RFC 5652 section 6.2). Expired ones too: old mail stays readable.
	Decryption(ctx context.Context, recipient cms.ID) ([]*Identity, error)
}
