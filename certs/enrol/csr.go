package enrol

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	pki "github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

var (
	oidKeyUsage        = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidEmailProtection = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}
)

// CSR returns the request of an order (PKCS #10, RFC 2986), in DER: it names the address as
// the built-in authority would certify it, and asks for the key usage of the purpose.
func (o *Order) CSR() ([]byte, error) {
	var named x509.Certificate
	if err := ca.Name(&named, o.Address); err != nil {
		return nil, err
	}
	return o.csr(x509.CertificateRequest{Subject: named.Subject, ExtraExtensions: named.ExtraExtensions})
}

// RenewalCSR returns the request with the names of the certificate that the order replaces,
// as the protocols that renew a certificate want it (RFC 7030 section 4.2.2).
func (o *Order) RenewalCSR() ([]byte, error) {
	current := o.Current.Certificate
	t := x509.CertificateRequest{RawSubject: current.RawSubject}
	for _, e := range current.Extensions {
		if e.Id.Equal(pki.OIDSubjectAltName) {
			t.ExtraExtensions = append(t.ExtraExtensions, e)
		}
	}
	return o.csr(t)
}

// Renews reports whether the certificate is of the same kind as the one that the order
// replaces: it names the address and no other, and is for the same purpose.
func (o *Order) Renews() bool {
	if o.Current == nil {
		return false
	}
	c := o.Current.Certificate
	if slices.ContainsFunc(certs.Addresses(c), func(a address.Address) bool { return !a.Equal(o.Address, address.IgnoreCase) }) {
		return false
	}
	signs, decrypts := certs.Signs(c), certs.Decrypts(c)
	switch o.Purpose {
	case store.ForSigning:
		return signs && !decrypts
	case store.ForEncryption:
		return decrypts && !signs
	}
	return signs && decrypts
}

// csr completes a request that has names.
func (o *Order) csr(t x509.CertificateRequest) ([]byte, error) {
	key, ok := o.Key.(crypto.Signer)
	if !ok {
		return nil, errors.New("a key of this kind cannot sign a request; choose another key_type")
	}
	usage, err := keyUsage(Use(o.Purpose).KeyUsage(key.Public()))
	if err != nil {
		return nil, err
	}
	mail, err := asn1.Marshal([]asn1.ObjectIdentifier{oidEmailProtection})
	if err != nil {
		return nil, err
	}
	t.ExtraExtensions = append(t.ExtraExtensions, usage, pkix.Extension{Id: oidExtKeyUsage, Value: mail})
	der, err := x509.CreateCertificateRequest(rand.Reader, &t, key)
	if err != nil {
		return nil, fmt.Errorf("request for %s: %w", o.Address, err)
	}
	return der, nil
}

// keyUsage is the extension of RFC 5280 section 4.2.1.3 for bits below the ninth.
func keyUsage(u x509.KeyUsage) (pkix.Extension, error) {
	bits := asn1.BitString{Bytes: []byte{0}}
	for i := range 8 {
		if u&(1<<i) != 0 {
			bits.Bytes[0] |= 0x80 >> i
			bits.BitLength = i + 1
		}
	}
	value, err := asn1.Marshal(bits)
	return pkix.Extension{Id: oidKeyUsage, Critical: true, Value: value}, err
}
