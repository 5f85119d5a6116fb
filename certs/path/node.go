package path

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// fingerprint is the SHA-256 of a certificate.
type fingerprint [sha256.Size]byte

// node is a certificate with what path building asks of it repeatedly.
type node struct {
	*x509.Certificate
	key             crypto.PublicKey
	subject, issuer string // keys of the names
	fp              fingerprint
	algorithm       pkix.Algorithm
	problem         *certs.Problem // with the algorithm
}

func newNode(c *x509.Certificate) *node {
	n := &node{
		Certificate: c,
		key:         pkix.PublicKey(c),
		subject:     pkix.NameKey(c.RawSubject),
		issuer:      pkix.NameKey(c.RawIssuer),
		fp:          sha256.Sum256(c.Raw),
	}
	n.algorithm, n.problem = signatureAlgorithm(c)
	return n
}

// selfIssued is the term of RFC 5280 section 6.1: subject and issuer are equal.
func (n *node) selfIssued() bool { return n.subject == n.issuer }

// samePerson reports whether two certificates are for the same name and key: a
// path never needs both.
func (n *node) samePerson(o *node) bool {
	return n.subject == o.subject && bytes.Equal(n.RawSubjectPublicKeyInfo, o.RawSubjectPublicKeyInfo)
}

// likeliness orders candidates for the issuer of n, the most likely highest.
// Key identifiers are hints and no more (RFC 5280 section 4.2.1.1).
func (n *node) likeliness(issuer *node, at time.Time) int {
	score := 0
	if len(n.AuthorityKeyId) > 0 && len(issuer.SubjectKeyId) > 0 {
		score = -4
		if bytes.Equal(n.AuthorityKeyId, issuer.SubjectKeyId) {
			score = 4
		}
	}
	if !at.Before(issuer.NotBefore) && !at.After(issuer.NotAfter) {
		score += 2
	}
	return score
}
