package userentry

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// signed returns the value with all certificates of an entry, signed by its owner's identity
// over no content, with its capabilities and the certificate to encrypt to. A signature differs
// each time it is made: of those that are there, one with the same certificates is the value.
// Without an identity whose key is here it bears certificates alone.
func (t *Target) signed(ctx context.Context, o *owner, certificates []*x509.Certificate, noted [][]byte) ([]byte, error) {
	id, err := t.signer(ctx, o)
	if err != nil {
		return nil, err
	}
	holds := union(slices.Clone(certificates), o.chain)
	if id != nil {
		holds = union(union([]*x509.Certificate{id.Certificate}, holds), intermediates(id.Chain))
	}
	for _, v := range noted {
		if s, err := cms.ParseSignedData(v); err == nil && (s.Signers() > 0) == (id != nil) && t.same(s.Certificates, holds) {
			return v, nil
		}
	}
	if id == nil {
		return cms.CertsOnly(holds, nil).Bytes(), nil
	}
	object, err := cms.Sign(cms.SignRequest{
		Detached: true, Certificates: holds[1:],
		Signers: []cms.Signer{{
			Certificate: id.Certificate, Key: id.Key.(crypto.Signer), Time: t.cfg.Clock(), //nolint:forcetypeassert // signer has looked
			EncryptionCertificate: preferred(id.Certificate, certificates),
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", attrSigned, err)
	}
	return object.Bytes(), nil
}

// signer returns the identity that signs for one of the addresses of an entry.
func (t *Target) signer(ctx context.Context, o *owner) (*certs.Identity, error) {
	for _, a := range o.addresses {
		id, err := t.cfg.Signer(ctx, a)
		if err != nil {
			return nil, err
		}
		if id == nil {
			continue
		}
		if _, ok := id.Key.(crypto.Signer); ok {
			return id, nil
		}
	}
	return nil, nil
}

// preferred is the certificate that a signer announces: its own where it can be encrypted to,
// else the newest, which is the first.
func preferred(signer *x509.Certificate, certificates []*x509.Certificate) *x509.Certificate {
	if slices.ContainsFunc(certificates, signer.Equal) {
		return signer
	}
	return certificates[0]
}

// intermediates are the authorities of a chain without trust anchors: who trusts these has them.
// Another certificate of the owner that travels in a chain is not one that was judged.
func intermediates(chain []*x509.Certificate) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(chain), func(c *x509.Certificate) bool { return !c.IsCA || bytes.Equal(c.RawIssuer, c.RawSubject) })
}

// same reports whether a value that has these certificates is the one that holds the wanted ones.
// The chain of one that cannot be judged now is not known: it stays, too.
func (t *Target) same(has, wanted []*x509.Certificate) bool {
	if len(union(slices.Clone(has), wanted)) > len(has) {
		return false
	}
	unsure := slices.ContainsFunc(has, func(c *x509.Certificate) bool { return t.unsure[sha256.Sum256(c.Raw)] })
	return !slices.ContainsFunc(has, func(c *x509.Certificate) bool {
		return !slices.ContainsFunc(wanted, c.Equal) && !(unsure && c.IsCA)
	})
}

// certificatesIn are those of a value, which is one or a SignedData.
func certificatesIn(value []byte) []*x509.Certificate {
	if s, err := cms.ParseSignedData(value); err == nil {
		return s.Certificates
	}
	if c, err := pkix.ParseCertificate(value); err == nil {
		return []*x509.Certificate{c}
	}
	return nil
}

// isSigned tells a SignedData from a certificate.
func isSigned(value []byte) bool {
	_, err := cms.ParseSignedData(value)
	return err == nil
}
