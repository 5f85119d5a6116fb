package builtin

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// ErrUnknown means that a client has not shown that an address is its own.
var ErrUnknown = errors.New("the secret is wrong, used or expired, or the certificate is not one of the built-in CA that is valid")

// bounds of the RSA keys of others that are certified.
const (
	leastRSA = 2048
	mostRSA  = 4096
)

// Invited certifies a key that was made elsewhere, for the holder of a secret that
// smimerelay enrol invite made for the address. The secret is for one key: the same request
// again gets the same certificate.
func (p *Provider) Invited(ctx context.Context, user, secret string, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	a, err := address.Parse(user)
	if err != nil || secret == "" {
		return nil, ErrUnknown
	}
	if err := checkRequest(csr, a); err != nil {
		return nil, err
	}
	ok, err := p.Store.RedeemInvitation(ctx, secret, a, sha256.Sum256(csr.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrUnknown
	}
	return p.Certify(ctx, a, csr, nil)
}

// Renewed certifies a key for the holder of a certificate of this authority that is valid.
func (p *Provider) Renewed(ctx context.Context, current *x509.Certificate, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	now := p.Authority.Clock()
	if !pkix.SignedBy(current, p.Authority.Config.Certificate, false) || now.Before(current.NotBefore) || now.After(current.NotAfter) {
		return nil, ErrUnknown
	}
	found, err := p.Store.Find(ctx, store.Query{Prefix: fmt.Sprintf("%x", sha256.Sum256(current.Raw)), Origins: []store.Origin{store.Issued}})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 || !found[0].RevokedAt.IsZero() || found[0].Mark == store.Blocked || len(found[0].Addresses) != 1 {
		return nil, ErrUnknown
	}
	a := found[0].Addresses[0]
	if err := checkRequest(csr, a); err != nil {
		return nil, err
	}
	return p.Certify(ctx, a, csr, current)
}

// Certify issues a certificate for the key of a request, unless there is one already that
// does not replace current: a client that repeats its request gets the same.
func (p *Provider) Certify(ctx context.Context, a address.Address, csr *x509.CertificateRequest, current *x509.Certificate) (*x509.Certificate, error) {
	if err := checkRequest(csr, a); err != nil {
		return nil, err
	}
	found, err := p.Store.Find(ctx, store.Query{Address: &a, Origins: []store.Origin{store.Issued}, Issuer: p.issuer()})
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		c := e.Certificate
		same := bytes.Equal(c.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo) && e.RevokedAt.IsZero() && p.Authority.Clock().Before(c.NotAfter)
		if same && (current == nil || c.NotBefore.After(current.NotBefore)) {
			return c, nil
		}
	}
	if err := p.Ready(ctx, a, 1); err != nil {
		return nil, err
	}
	chain, err := p.Authority.Certify(ctx, ca.Request{Address: a, Validity: p.Validity}, ca.SignAndEncrypt, csr.PublicKey)
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}

// checkRequest refuses what a request must not ask for: another address, or a weak key.
// Whatever else it asks for is passed over: the authority's profile decides.
func checkRequest(csr *x509.CertificateRequest, a address.Address) error {
	if err := csr.CheckSignature(); err != nil {
		return &enrol.Refusal{Cause: errors.New("the request is not signed by its key")}
	}
	named := slices.Clone(csr.EmailAddresses)
	for _, n := range csr.Subject.Names {
		if n.Type.Equal(pkix.OIDEmailAddress) {
			named = append(named, fmt.Sprint(n.Value))
		}
	}
	if strings.Contains(csr.Subject.CommonName, "@") {
		named = append(named, csr.Subject.CommonName)
	}
	for _, text := range named {
		other, err := certs.ParseMailbox(text, true)
		if err != nil || !other.Equal(a, address.IgnoreCase) {
			return &enrol.Refusal{Cause: fmt.Errorf("the request names another address than %s", a)}
		}
	}
	switch key := csr.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n >= leastRSA && n <= mostRSA && pkix.CheckKey(key, leastRSA) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if n := key.Curve.Params().BitSize; n == 256 || n == 384 || n == 521 {
			return nil
		}
	case ed25519.PublicKey:
		return &enrol.Refusal{Cause: errors.New("a key of Ed25519 cannot be encrypted to; use RSA or EC")}
	}
	return &enrol.Refusal{Cause: fmt.Errorf("the key must be RSA with %d to %d bits, or EC on P-256, P-384 or P-521", leastRSA, mostRSA)}
}
