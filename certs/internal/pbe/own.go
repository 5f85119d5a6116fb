package pbe

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/rc2"
)

// ownCipher is an encryption of PKCS #12 itself (RFC 7292 appendix C), all with
// SHA-1 and blocks of eight octets. Windows, macOS and OpenSSL before 3 wrote
// these, some still do.
type ownCipher struct {
	keySize int
	block   func(key []byte) (cipher.Block, error)
}

// ownCiphers are by object identifier.
var ownCiphers = map[string]ownCipher{
	"1.2.840.113549.1.12.1.3": {24, des.NewTripleDESCipher},
	"1.2.840.113549.1.12.1.4": {16, twoKeyDES},
	"1.2.840.113549.1.12.1.5": {16, newRC2},
	"1.2.840.113549.1.12.1.6": {5, newRC2},
}

func twoKeyDES(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(key[:16:16], key[:8]...))
}

func newRC2(key []byte) (cipher.Block, error) { return rc2.New(key, 8*len(key)), nil }

// Purposes of the derivation of PKCS #12 (RFC 7292 appendix B.3).
const (
	forKey = 1
	forIV  = 2
	forMAC = 3
)

// scheme reads pkcs-12PbeParams.
func (c ownCipher) scheme(params cryptobyte.String, b *Budget) (*Scheme, error) {
	var inner, salt cryptobyte.String
	if !params.ReadASN1(&inner, cryptobyte_asn1.SEQUENCE) || !inner.ReadASN1(&salt, cryptobyte_asn1.OCTET_STRING) {
		return nil, errMalformed
	}
	n, err := readIterations(&inner)
	if err != nil {
		return nil, err
	}
	derive := func(f Form) (key, iv []byte, err error) {
		if err := b.spend(4 * n); err != nil { // two derivations, the first of two rounds at most
			return nil, nil, err
		}
		key = deriveOwn(sha1.New, f.Wide, salt, forKey, n, c.keySize)
		return key, deriveOwn(sha1.New, f.Wide, salt, forIV, n, des.BlockSize), nil
	}
	return &Scheme{derive, c.block}, nil
}

// MACKey derives the key of the integrity check of PKCS #12 (RFC 7292 appendix
// B), as long as the digest. The iteration count is read from s, 1 if there is
// none.
func MACKey(newHash func() hash.Hash, salt []byte, s *cryptobyte.String, b *Budget) (func(Form) ([]byte, error), error) {
	n := 1
	if !s.Empty() {
		var err error
		if n, err = readIterations(s); err != nil {
			return nil, err
		}
	}
	return func(f Form) ([]byte, error) {
		if err := b.spend(n); err != nil {
			return nil, err
		}
		return deriveOwn(newHash, f.Wide, salt, forMAC, n, newHash().Size()), nil
	}, nil
}

// deriveOwn is the derivation of RFC 7292 appendix B.2, with its names.
func deriveOwn(newHash func() hash.Hash, password, salt []byte, id byte, iterations, size int) []byte {
	h := newHash()
	v := h.BlockSize()
	d := fill([]byte{id}, v)
	i := append(fill(salt, v), fill(password, v)...)
	var key, a []byte
	for {
		h.Reset()
		h.Write(d)
		h.Write(i)
		a = h.Sum(a[:0])
		for range iterations - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		if key = append(key, a...); len(key) >= size {
			return key[:size]
		}
		b := fill(a, v)[:v]
		for j := 0; j < len(i); j += v {
			addOne(i[j:j+v], b)
		}
	}
}

// fill repeats p up to the next multiple of v octets; of nothing it makes nothing.
func fill(p []byte, v int) []byte {
	n := (len(p) + v - 1) / v * v
	out := make([]byte, n)
	for i := range out {
		out[i] = p[i%len(p)]
	}
	return out
}

// addOne sets x to x+b+1, as big-endian numbers of the same length.
func addOne(x, b []byte) {
	carry := 1
	for k := len(x) - 1; k >= 0; k-- {
		carry += int(x[k]) + int(b[k])
		x[k] = byte(carry)
		carry >>= 8
	}
}
