package smime

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Report is what `verify --json` prints.
type Report struct {
	Result certs.Result `json:"result"`
	// Reason is a word of docs/reasons.md or docs/message-reasons.md, "" where
	// the result needs none.
	Reason certs.Reason `json:"reason"`
	// Detail says more for people.
	Detail string `json:"detail,omitempty"`
	// Layers are the layers that were opened, outermost first: "signed",
	// "enveloped", "compressed", "certs-only".
	Layers  []string `json:"layers"`
	Signers []Signer `json:"signers"`
	// Encryption is the outermost encrypted layer.
	Encryption *Encryption `json:"encryption,omitempty"`
	// Author is whom the signers had to be: the mailbox in From, or in Sender
	// where From has several. It is null if that is not known or no one
	// signed.
	Author address.Address `json:"-"`
}

// Signer is the result for one signer.
type Signer struct {
	Result      certs.Result `json:"result"`
	Reason      certs.Reason `json:"reason"`
	Detail      string       `json:"detail,omitempty"`
	Addresses   []string     `json:"addresses"`
	Subject     string       `json:"subject"`
	Issuer      string       `json:"issuer"`
	Serial      string       `json:"serial"` // lower-case hexadecimal
	SHA256      string       `json:"sha256"`
	SigningTime *time.Time   `json:"signing_time,omitempty"` // claimed by the signer
	// Digest is the name that the micalg parameter has (RFC 8551 section 3.5.3.2); ""
	// where it is unknown, as Signature is.
	Digest     string              `json:"digest"`
	Signature  cms.SignatureScheme `json:"signature"`
	Chain      string              `json:"chain"`
	Revocation string              `json:"revocation"`
	// DomainSigner is by what name the signer signs for the author's domain; "" where
	// the certificate names the author.
	DomainSigner string `json:"domain_signer,omitempty"`
	// Layer is the index in Report.Layers of the layer that was signed.
	Layer int `json:"layer"`
	// Certificate is the signer's, nil if it was not found.
	Certificate *x509.Certificate `json:"-"`
	// Capabilities are what the signer says it can decrypt, Preferred the
	// certificate that it wants to be encrypted to (nil is Certificate; RFC
	// 8551 section 2.5.3), and Bundle the certificates that came with the
	// signature. All are nil unless the signature is good.
	Capabilities cms.Capabilities    `json:"-"`
	Preferred    *cms.ID             `json:"-"`
	Bundle       []*x509.Certificate `json:"-"`

	// broken tells a signature that is wrong from a certificate that is.
	broken bool
}

// Encryption describes the outermost encrypted layer.
type Encryption struct {
	Cipher        cms.Cipher `json:"cipher"`
	Authenticated bool       `json:"authenticated"`
	// DerivedKey says that the content key is bound to the cipher (RFC 9709).
	DerivedKey bool `json:"derived_key,omitempty"`
	Recipients int  `json:"recipients"`

	// keyManagement is how the content key got to each recipient; see
	// cms.RecipientInfo.
	keyManagement []cms.KeyManagement
	// readBy is the certificate of the key that decrypted it; nil where none did.
	readBy *x509.Certificate
}

// The reasons that are not about certificates: docs/message-reasons.md says what each
// means. The others are those of package certs.
const (
	ReasonTampered        certs.Reason = "content-changed"
	ReasonDomainSignature certs.Reason = "domain-signature"
	ReasonSignature       certs.Reason = "wrong-signature"
	ReasonAttributes      certs.Reason = "bad-attributes"
	ReasonNoSigner        certs.Reason = "no-certificate"
	ReasonBare            certs.Reason = "no-signed-attributes"
	ReasonUnsupported     certs.Reason = "unsupported-algorithm"
	ReasonMalformed       certs.Reason = "malformed"
	ReasonAmbiguous       certs.Reason = "ambiguous"
	ReasonUnchecked       certs.Reason = "chain-unchecked"
	ReasonPartial         certs.Reason = "partial-signature"
	ReasonNested          certs.Reason = "nested-signatures"
	ReasonStale           certs.Reason = "signing-time"
	ReasonLineEnds        certs.Reason = "line-ends"
	ReasonNoKey           certs.Reason = "no-key"
	ReasonKeyStore        certs.Reason = "key-store"
	ReasonDecrypt         certs.Reason = "not-decryptable"
	ReasonWeakCipher      certs.Reason = "weak-cipher"
	ReasonIsolated        certs.Reason = "encrypted-part"
	ReasonLayers          certs.Reason = "too-many-layers"
	ReasonAuthor          certs.Reason = "from-mismatch"
	ReasonNoAuthor        certs.Reason = "unclear-author"
	ReasonOuter           certs.Reason = "signature-outside-encryption"
	ReasonMinimum         certs.Reason = "below-minimum"
	ReasonNotApproved     certs.Reason = "not-approved"
)

// describe fills in what the certificate says.
func (s *Signer) describe(cert *x509.Certificate) {
	s.Certificate = cert
	s.Subject, s.Issuer = pkix.SubjectString(cert), pkix.IssuerString(cert)
	s.Serial = hex.EncodeToString(cert.SerialNumber.Bytes())
	sum := sha256.Sum256(cert.Raw)
	s.SHA256 = hex.EncodeToString(sum[:])
	for _, a := range certs.Addresses(cert) {
		s.Addresses = append(s.Addresses, a.String())
	}
}

// fail sets the result of a signer.
func (s *Signer) fail(result certs.Result, reason certs.Reason, detail string) {
	s.Result, s.Reason, s.Detail = result, reason, detail
}
