package file

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/printable"
)

var errNoKey = errors.New("contains no private key; use PKCS #12, or PEM with key and chain")

// ReadIdentities reads the private keys of a file, each with its certificate and
// chain. Finding none is an error; else it is ReadContents.
func ReadIdentities(file, password string) ([]*certs.Identity, error) {
	c, err := ReadContents(file, password)
	if err != nil {
		return nil, err
	}
	if len(c.Identities) == 0 {
		return nil, fmt.Errorf("file %q: %w", file, errNoKey)
	}
	return c.Identities, nil
}

// namedKey is a private key and how messages call it.
type namedKey struct {
	key  crypto.PrivateKey
	name string
}

// maxFriendly limits the name of a key in a message, in octets.
const maxFriendly = 100

// keyName is how a private key of a file is called, by its number and the name
// that the file gives it.
func keyName(i int, friendly string) string {
	if friendly == "" {
		return fmt.Sprintf("private key %d in it", i+1)
	}
	return fmt.Sprintf("private key %d in it (%q)", i+1, printable.Clip(friendly, maxFriendly))
}

// newContents sorts what a file holds into identities and other certificates.
// It is linear in their numbers, whatever names strangers wrote.
func newContents(keys []namedKey, r reading, protected bool) (*Contents, error) {
	if len(keys)+len(r.list) == 0 {
		return nil, errors.New(r.skipped[0].Error())
	}
	list := unique(r.list)
	s := newShelf(list)
	out := &Contents{Skipped: r.skipped, Protected: protected}
	used := map[*x509.Certificate]bool{}
	for _, k := range keys {
		own := s.certificatesOf(k.key)
		if len(own) == 0 {
			return nil, withoutCertificate(k.name, r.skipped)
		}
		for _, c := range own {
			if used[c] {
				continue // the same key twice
			}
			id := &certs.Identity{Key: k.key, Certificate: c, Chain: s.chain(c)}
			out.Identities = append(out.Identities, id)
			for _, u := range append(id.Chain, c) {
				used[u] = true
			}
		}
	}
	out.Certificates = slices.DeleteFunc(list, func(c *x509.Certificate) bool {
		return used[c] || len(keys) > 0 && c.IsCA && isSelfIssued(c)
	})
	return out, nil
}

func withoutCertificate(key string, skipped []*SkippedError) error {
	if len(skipped) > 0 {
		return fmt.Errorf("%s: no certificate in the file belongs to it; %w", key, skipped[0])
	}
	return fmt.Errorf("%s: no certificate in the file belongs to it; put its certificate into the same file", key)
}

// maxChain limits the chain of an identity. Chains in use have up to three.
const maxChain = 10

// shelf finds the certificates of a file by key and by subject.
type shelf struct {
	byKey     map[string][]*x509.Certificate
	bySubject map[string][]*x509.Certificate
}

func newShelf(list []*x509.Certificate) *shelf {
	s := &shelf{byKey: map[string][]*x509.Certificate{}, bySubject: map[string][]*x509.Certificate{}}
	for _, c := range list {
		if bits, ok := keyBits(pkix.PublicKey(c)); ok { // none has the private key of one that is not supported
			s.byKey[bits] = append(s.byKey[bits], c)
		}
		if name := pkix.NameKey(c.RawSubject); !isSelfIssued(c) && len(s.bySubject[name]) < maxChain {
			s.bySubject[name] = append(s.bySubject[name], c)
		}
	}
	return s
}

// certificatesOf returns those that hold the public half of key.
func (s *shelf) certificatesOf(key crypto.PrivateKey) []*x509.Certificate {
	pub, ok := pkix.PublicHalf(key)
	if !ok {
		return nil
	}
	bits, ok := keyBits(pub)
	if !ok {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.byKey[bits]), func(c *x509.Certificate) bool { return (&certs.Identity{Key: key, Certificate: c}).Check() != nil })
}

// keyBits is a public key as one string, however a certificate writes it: points may
// be compressed, and numbers too long.
func keyBits(key crypto.PublicKey) (string, bool) {
	if k := pkix.RSAKey(key); k != nil {
		key = k
	}
	der, err := pkix.MarshalKeyInfo(key)
	info, ok := pkix.ReadKeyInfo(der)
	return string(info.Bits), ok && err == nil
}

// chain returns the intermediates above c, next first, without self-issued ones.
func (s *shelf) chain(c *x509.Certificate) []*x509.Certificate {
	var chain []*x509.Certificate
	for at := -1; at < len(chain) && len(chain) < maxChain; at++ {
		below := c
		if at >= 0 {
			below = chain[at]
		}
		for _, above := range s.bySubject[pkix.NameKey(below.RawIssuer)] {
			if above != c && !slices.Contains(chain, above) && len(chain) < maxChain {
				chain = append(chain, above)
			}
		}
	}
	return chain
}

func isSelfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }
