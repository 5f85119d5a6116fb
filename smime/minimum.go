package smime

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Minimum has the requirements for a message, above those for every message. The
// zero value asks for nothing.
type Minimum struct {
	Digest string // "sha-256", "sha-384" or "sha-512"; "" is any
	RSA    int    // bits of RSA keys that sign or are encrypted to
	PSS    bool   // RSA signatures with PKCS #1 v1.5 padding do not do
	// Cipher is "aes-128", "aes-192" or "aes-256": the least strength of the
	// content cipher; "" is any.
	Cipher string
	// Authenticated says that a content cipher without authentication does not
	// do, such as AES in CBC mode.
	Authenticated bool
	OAEP          bool // RSA key transport with PKCS #1 v1.5 padding does not do
	// Keys are the kinds of keys that may sign and be encrypted to.
	Keys KeyKinds
}

// Judge takes the pass from a report of a message that does not come up to the
// minimum, and says why: whatever is below, one of its signers or its
// encryption. What did not pass for another reason keeps that one.
func (m Minimum) Judge(r *Report) {
	encrypted := r.Result == certs.None && r.Reason == "" && r.Encryption != nil
	if r.Result != certs.Pass && !encrypted {
		return
	}
	var why string
	r.Signers = slices.Clone(r.Signers)
	for i := range r.Signers {
		s := &r.Signers[i]
		if below := m.signer(s); below != "" && s.Result == certs.Pass {
			s.fail(certs.PolicyNo, ReasonMinimum, below)
			why = below
		}
	}
	if below := m.encryption(r.Encryption); below != "" {
		why = below
	}
	if why != "" {
		r.Result, r.Reason, r.Detail = certs.PolicyNo, ReasonMinimum, why
	}
}

// signer says how a signature is below the minimum; "" if it is not.
func (m Minimum) signer(s *Signer) string {
	if bits(s.Digest) < bits(m.Digest) {
		return fmt.Sprintf("the digest is %s, and %s is the least", s.Digest, m.Digest)
	}
	if m.PSS && s.Signature == cms.RSAPKCS1 {
		return "the RSA signature has PKCS #1 v1.5 padding, and it must be PSS"
	}
	if s.Certificate == nil {
		return ""
	}
	return m.key("the signer's", s.Certificate)
}

// Key says why the key of a certificate may neither sign nor be encrypted to; "" if it
// may. It is the one judgement of keys for both directions.
func (m Minimum) Key(c *x509.Certificate) string { return m.key("its", c) }

func (m Minimum) key(whose string, c *x509.Certificate) string {
	if m.RSA == 0 {
		return m.Keys.allow(whose, c)
	}
	if key := pkix.RSAKey(pkix.PublicKey(c)); key != nil && key.N.BitLen() < m.RSA {
		return fmt.Sprintf("%s RSA key has %d bits, and %d are the least", whose, key.N.BitLen(), m.RSA)
	}
	return m.Keys.allow(whose, c)
}

// encryption says how an encryption is below the minimum; "" if it is not, or if
// there is none.
func (m Minimum) encryption(e *Encryption) string {
	switch {
	case e == nil:
		return ""
	case strength(e.Cipher) < bits(m.Cipher):
		return fmt.Sprintf("the cipher is %s, and %s is the least", e.Cipher, m.Cipher)
	case m.Authenticated && !e.Authenticated:
		return fmt.Sprintf("the cipher is %s, which does not authenticate", e.Cipher)
	case m.OAEP && slices.Contains(e.keyManagement, cms.KeyTransportPKCS1):
		return "the RSA key transport has PKCS #1 v1.5 padding, and it must be OAEP"
	}
	if below := m.Keys.managed(e.keyManagement); below != "" || e.readBy == nil {
		return below
	}
	return m.key("the recipient's", e.readBy)
}

// strength is the size of a content cipher's key; 0 for those that no one should
// use any more.
func strength(cipher cms.Cipher) int {
	switch {
	case strings.HasPrefix(string(cipher), "aes-"):
		return bits(string(cipher))
	case cipher == cms.ChaCha20Poly1305:
		return 256
	}
	return 0
}

// bits is the number in a name such as "sha-256" or "aes-128-cbc"; 0 for "".
func bits(name string) int {
	switch name {
	case "shake128": // as a digest it is twice as long (RFC 8702 section 3.1)
		return 256
	case "shake256":
		return 512
	}
	_, number, _ := strings.Cut(name, "-")
	number, _, _ = strings.Cut(number, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}

// String says in words what is asked for; "" if nothing is.
func (m Minimum) String() string {
	var parts []string
	add := func(asked bool, text string) {
		if asked {
			parts = append(parts, text)
		}
	}
	add(m.Digest != "", m.Digest)
	add(m.RSA > 0, fmt.Sprintf("RSA keys of %d bits", m.RSA))
	add(m.PSS, "PSS")
	add(m.Cipher != "", m.Cipher)
	add(m.Authenticated, "an authenticating cipher")
	add(m.OAEP, "OAEP")
	add(m.Keys != "", "keys of "+string(m.Keys))
	return strings.Join(parts, ", ")
}
