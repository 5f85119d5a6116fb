package revocation

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// ErrUnsupported means that a list is signed in a way that cannot be verified
// here, such as with DSA. To trust paths it is as no list.
var ErrUnsupported = errors.New("not supported")

// List is a certificate revocation list (RFC 5280 section 5), of which the
// entries are kept as an index of fixed size records. It is not trusted before
// VerifiedBy.
type List struct {
	// Issuer is the key of the issuer's name, as of pki.NameKey.
	Issuer string
	// ThisUpdate and NextUpdate limit its validity; NextUpdate is zero where
	// the list has none.
	ThisUpdate, NextUpdate time.Time
	// Number and Base are the cRLNumber and, for delta lists, the number of
	// the list it builds on; nil where absent.
	Number, Base *big.Int

	point     *issuingPoint // nil: everything that Issuer issued
	authority []byte        // authorityKeyIdentifier
	unknown   asn1.ObjectIdentifier
	algorithm pkix.Algorithm
	digest    []byte
	signature []byte
	entries   index

	mu       sync.Mutex
	verified map[string]bool // the public keys that have signed it
}

// ParseList reads a list in DER from memory.
func ParseList(der []byte) (*List, error) { return ReadList(bytes.NewReader(der), "") }

// ReadList reads a list in DER as a stream. The index of a large list is kept in
// a temporary file in the folder dir, which vanishes with the process; "" keeps
// it in memory.
func ReadList(r io.Reader, dir string) (*List, error) {
	s := &scanner{r: bufio.NewReaderSize(r, 64<<10)}
	l := &List{verified: map[string]bool{}}
	if tag, _, err := s.header(); err != nil || tag != tagSequence {
		return nil, or(err)
	}
	b := &builder{list: l, dir: dir}
	if err := b.signedPart(s); err != nil {
		return nil, err
	}
	if err := l.readSignature(s); err != nil {
		return nil, err
	}
	var err error
	l.entries, err = b.index()
	return l, err
}

func or(err error) error {
	if err == nil {
		return errShape
	}
	return err
}

func (l *List) readSignature(s *scanner) error {
	tag, alg, err := s.element()
	if err != nil || tag != tagSequence {
		return or(err)
	}
	outer, _, _ := pkix.ReadAlgorithm(alg)
	if outer != l.algorithm {
		return errors.New("revocation list: its two signature algorithms differ")
	}
	tag, bits, err := s.element()
	if err != nil || tag != tagBitString {
		return or(err)
	}
	var sig asn1.BitString
	if rest, err := asn1.Unmarshal(bits, &sig); err != nil || len(rest) > 0 {
		return errShape
	}
	l.signature = sig.RightAlign()
	for { // line ends and NULs behind it do no harm
		switch c, err := s.r.ReadByte(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case c != 0 && c != '\r' && c != '\n':
			return errShape
		}
	}
}

// VerifiedBy reports whether issuer's key has signed the list. Only that it has is
// remembered: what has not may be any number of strangers' keys.
func (l *List) VerifiedBy(issuer *x509.Certificate, allowSHA1 bool) bool {
	if l.algorithm.Broken() || l.algorithm.Weak() && !allowSHA1 {
		return false
	}
	if l.KnownBy(issuer) {
		return true
	}
	good := l.verify(pkix.PublicKey(issuer))
	if good {
		l.mu.Lock()
		l.verified[string(issuer.RawSubjectPublicKeyInfo)] = true
		l.mu.Unlock()
	}
	return good
}

// KnownBy reports whether VerifiedBy has found before that issuer's key has signed
// the list, and so costs nothing.
func (l *List) KnownBy(issuer *x509.Certificate) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.verified[string(issuer.RawSubjectPublicKeyInfo)]
}

func (l *List) verify(key crypto.PublicKey) bool {
	if l.algorithm.Whole() {
		return l.algorithm.Verify(key, l.digest, l.signature)
	}
	return l.algorithm.VerifyDigest(key, l.digest, l.signature)
}

// current says why the list does not count at the time at, "" if it does. A list
// without nextUpdate never ends, and is not current for that reason: RFC 5280
// section 5.1.2.5 requires the field. A list counts for the time stale longer.
func (l *List) current(at time.Time, stale time.Duration) string {
	switch {
	case l.unknown != nil:
		return fmt.Sprintf("the revocation list has the critical extension %s, which is not understood", l.unknown)
	case at.Before(l.ThisUpdate):
		return "the revocation list is not valid before " + stamp(l.ThisUpdate)
	case l.NextUpdate.IsZero():
		return "the revocation list does not say how long it is valid"
	case at.After(l.NextUpdate.Add(stale)):
		return "the revocation list expired at " + stamp(l.NextUpdate)
	}
	return ""
}

// Len returns the number of entries.
func (l *List) Len() int { return l.entries.n }

// Close frees the temporary file, if there is one.
func (l *List) Close() error { return l.entries.close() }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
