package pkcs12

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/certs/internal/pbe"
)

var oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}

// digests are the hash functions of integrity checks, by the object identifier of
// the digest and by that of its HMAC, which PBMAC1 names.
var digests = map[string]func() hash.Hash{
	"1.3.14.3.2.26":          sha1.New,
	"2.16.840.1.101.3.4.2.4": sha256.New224,
	"2.16.840.1.101.3.4.2.1": sha256.New,
	"2.16.840.1.101.3.4.2.2": sha512.New384,
	"2.16.840.1.101.3.4.2.3": sha512.New,
	"1.2.840.113549.2.7":     sha1.New,
	"1.2.840.113549.2.8":     sha256.New224,
	"1.2.840.113549.2.9":     sha256.New,
	"1.2.840.113549.2.10":    sha512.New384,
	"1.2.840.113549.2.11":    sha512.New,
}

// Where FIPS 140-3 is enforced, integrity checks by SHA-1 are not supported.
func init() {
	if fips140.Enforced() {
		delete(digests, "1.3.14.3.2.26")
		delete(digests, "1.2.840.113549.2.7")
	}
}

// minPBMAC1Key is the shortest key, in octets, that PBMAC1 may use (RFC 9579
// section 6): a key of one octet would let any password pass.
const minPBMAC1Key = 20

// checkMAC verifies the MacData (RFC 7292 section 4) that s may hold, and keeps
// the forms of the password with which it is right.
func (r *reader) checkMAC(s cryptobyte.String, content []byte) error {
	if s.Empty() {
		return nil // allowed, and then decryption shows a wrong password
	}
	var data, info, algorithm cryptobyte.String
	if !s.ReadASN1(&data, cryptobyte_asn1.SEQUENCE) || !s.Empty() ||
		!data.ReadASN1(&info, cryptobyte_asn1.SEQUENCE) || !info.ReadASN1(&algorithm, cryptobyte_asn1.SEQUENCE) {
		return errMalformed
	}
	want, err := octets(&info)
	if err != nil {
		return err
	}
	c, err := r.readCheck(algorithm, data)
	if err != nil {
		return err
	}
	if r.forms, err = c.right(r.forms, content, want); err != nil {
		return err
	}
	if len(r.forms) == 0 {
		return pbe.ErrPassword
	}
	r.out.Protected = true
	return nil
}

// check is an integrity check with its parameters.
type check struct {
	newHash func() hash.Hash
	octets  func(pbe.Form) []byte // of a password, those that count
	key     func(pbe.Form) ([]byte, error)
}

// readCheck reads the AlgorithmIdentifier of a MAC, and what MacData says of its
// key where it is not PBMAC1.
func (r *reader) readCheck(algorithm, data cryptobyte.String) (c check, err error) {
	var id asn1.ObjectIdentifier
	if !algorithm.ReadASN1ObjectIdentifier(&id) {
		return c, errMalformed
	}
	if id.Equal(oidPBMAC1) {
		return r.readPBMAC1(algorithm)
	}
	if c.newHash = digests[id.String()]; c.newHash == nil {
		return c, fmt.Errorf("PKCS #12 with an integrity check by %s, which is %w; export it again with SHA-256", id, pbe.ErrUnsupported)
	}
	salt, err := octets(&data)
	if err != nil {
		return c, err
	}
	c.octets = func(f pbe.Form) []byte { return f.Wide }
	c.key, err = pbe.MACKey(c.newHash, salt, &data, r.budget)
	return c, err
}

// readPBMAC1 reads PBMAC1-params (RFC 8018 appendix A.5).
func (r *reader) readPBMAC1(s cryptobyte.String) (c check, err error) {
	var params, mac cryptobyte.String
	if !s.ReadASN1(&params, cryptobyte_asn1.SEQUENCE) {
		return c, errMalformed
	}
	kdf, err := pbe.ReadKDF(&params, r.budget)
	if err != nil {
		return c, err
	}
	var id asn1.ObjectIdentifier
	if !params.ReadASN1(&mac, cryptobyte_asn1.SEQUENCE) || !mac.ReadASN1ObjectIdentifier(&id) || kdf.Length < minPBMAC1Key {
		return c, errMalformed
	}
	if c.newHash = digests[id.String()]; c.newHash == nil {
		return c, fmt.Errorf("PKCS #12 with PBMAC1 by %s, which is %w; export it again with SHA-256", id, pbe.ErrUnsupported)
	}
	c.octets = func(f pbe.Form) []byte { return f.Plain }
	c.key = func(f pbe.Form) ([]byte, error) { return kdf.Key(f, kdf.Length) }
	return c, nil
}

// right returns the forms of the password under which want is the MAC of content:
// all those that share the octets of the first that is right.
func (c check) right(forms []pbe.Form, content, want []byte) ([]pbe.Form, error) {
	var right []pbe.Form
	tried := map[string]bool{}
	for _, f := range forms {
		o := string(c.octets(f))
		if _, known := tried[o]; !known && len(right) == 0 {
			key, err := c.key(f)
			if err != nil {
				return nil, err
			}
			mac := hmac.New(c.newHash, key)
			mac.Write(content)
			tried[o] = hmac.Equal(mac.Sum(nil), want)
		}
		if tried[o] {
			right = append(right, f)
		}
	}
	return right, nil
}
