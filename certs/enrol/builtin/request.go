package builtin

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	xpkix "crypto/x509/pkix"
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

// bounds of the RSA keys of others that are certified; the exponent is that of FIPS 186-5 section 5.1.
const (
	leastRSA      = 2048
	mostRSA       = 4096
	leastExponent = 65537
)

// Invited certifies a key that was made elsewhere, for the holder of a secret that
// smimerelay enrol invite made for the address. The secret is for one key: the same request
// again gets the same certificate.
func (p *Provider) Invited(ctx context.Context, user, secret string, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	a, err := p.Redeem(ctx, user, secret, csr)
	if err != nil {
		return nil, err
	}
	return p.Certify(ctx, a, csr, nil)
}

// Redeem uses a secret up for the key of a request, and returns the address that it is for.
func (p *Provider) Redeem(ctx context.Context, user, secret string, csr *x509.CertificateRequest) (address.Address, error) {
	a, err := address.Parse(user)
	if err != nil || secret == "" {
		return address.Null, ErrUnknown
	}
	if err := p.checkRequest(ctx, csr, a); err != nil {
		return address.Null, err
	}
	ok, err := p.Store.RedeemInvitation(ctx, secret, a, sha256.Sum256(csr.RawSubjectPublicKeyInfo))
	if err == nil && !ok {
		err = ErrUnknown
	}
	return a, err
}

// Renewed certifies a key for the holder of a certificate of this authority, or of one before
// it, that is valid and can authenticate a client. The new one has its names and is for the
// same purpose.
func (p *Provider) Renewed(ctx context.Context, current *x509.Certificate, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	now := p.Authority.Clock()
	if !p.issued(current) || now.Before(current.NotBefore) || now.After(current.NotAfter) || current.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, ErrUnknown
	}
	found, err := p.Store.Find(ctx, store.Query{Prefix: fmt.Sprintf("%x", sha256.Sum256(current.Raw)), Origins: []store.Origin{store.Issued}})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 || !found[0].RevokedAt.IsZero() || found[0].Mark == store.Blocked || len(found[0].Addresses) != 1 {
		return nil, ErrUnknown
	}
	if !sameNames(csr, current) {
		return nil, &enrol.Refusal{Cause: errors.New("a renewal must have the same subject and subjectAltName as the certificate that it renews")}
	}
	return p.Certify(ctx, found[0].Addresses[0], csr, current)
}

// issued reports whether this authority, or one before it that was not revoked, signed a
// certificate.
func (p *Provider) issued(c *x509.Certificate) bool {
	return pkix.SignedBy(c, p.Authority.Config.Certificate, false) ||
		slices.ContainsFunc(p.Former, func(f Former) bool { return !f.Revoked && pkix.SignedBy(c, f.Certificate, false) })
}

// sameNames compares what RFC 7030 section 4.2.2 says must be identical in a renewal.
func sameNames(csr *x509.CertificateRequest, c *x509.Certificate) bool {
	value := func(list []xpkix.Extension) []byte {
		i := slices.IndexFunc(list, func(e xpkix.Extension) bool { return e.Id.Equal(pkix.OIDSubjectAltName) })
		if i < 0 {
			return nil
		}
		return list[i].Value
	}
	return pkix.SameName(csr.RawSubject, c.RawSubject) && bytes.Equal(value(csr.Extensions), value(c.Extensions))
}

// Certify issues a certificate for the key of a request, unless there is one already that
// does not replace current: a client that repeats its request gets the same. It is for the
// purpose of current, or to sign and to be encrypted to.
func (p *Provider) Certify(ctx context.Context, a address.Address, csr *x509.CertificateRequest, current *x509.Certificate) (*x509.Certificate, error) {
	if err := p.checkRequest(ctx, csr, a); err != nil {
		return nil, err
	}
	found, err := p.Store.Find(ctx, store.Query{Address: &a, Origins: []store.Origin{store.Issued}})
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(e store.Entry) bool {
		return !bytes.Equal(e.Certificate.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo)
	})
	for _, e := range found {
		c := e.Certificate
		same := bytes.Equal(c.RawIssuer, p.issuer()) && p.Authority.Clock().Before(c.NotAfter)
		if same && (current == nil || !c.Equal(current) && !c.NotBefore.Before(current.NotBefore)) {
			return c, nil
		}
	}
	if err := p.Ready(ctx, a, 1); err != nil {
		return nil, err
	}
	chain, err := p.once(current).Certify(ctx, ca.Request{Address: a, Validity: p.Validity}, useOf(current), csr.PublicKey)
	if already, is := errors.AsType[*store.AlreadyIssued](err); is {
		return already.Certificate, nil // for the same request, since we looked
	}
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}

// unspoiled refuses a key of which a certificate was revoked or is blocked, whatever address that
// names: who has a key that was lost may have the secret of another address, too.
func (p *Provider) unspoiled(ctx context.Context, csr *x509.CertificateRequest) error {
	id := pkix.ComputedKeyID(&x509.Certificate{RawSubjectPublicKeyInfo: csr.RawSubjectPublicKeyInfo})
	found, err := p.Store.Find(ctx, store.Query{KeyID: id})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(found, func(e store.Entry) bool {
		return bytes.Equal(e.Certificate.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo) && (!e.RevokedAt.IsZero() || e.Mark == store.Blocked)
	}) {
		return &enrol.Refusal{Cause: errors.New("a certificate of this key was revoked or blocked: make another key")}
	}
	return nil
}

// once is the authority with a ledger in which each key is certified once, however many ask for
// it at the same time, here or on another node.
func (p *Provider) once(replaced *x509.Certificate) *ca.Authority {
	config := p.Authority.Config
	config.Ledger = onceLedger{p.Store, replaced}
	return &ca.Authority{Config: config}
}

type onceLedger struct {
	*store.Store
	replaced *x509.Certificate
}

// Issued implements ca.Ledger.
func (l onceLedger) Issued(ctx context.Context, cert *x509.Certificate) error {
	return l.IssuedOnce(ctx, cert, l.replaced)
}

// useOf is what the key of a certificate that signs is for.
func useOf(c *x509.Certificate) ca.Use {
	if c != nil && !certs.Decrypts(c) {
		return ca.OnlySign
	}
	return ca.SignAndEncrypt
}

// Named are the texts of a request that are mail addresses, or are meant to be.
func Named(csr *x509.CertificateRequest) []string {
	named := slices.Clone(csr.EmailAddresses)
	for _, n := range csr.Subject.Names {
		if n.Type.Equal(pkix.OIDEmailAddress) {
			named = append(named, fmt.Sprint(n.Value))
		}
	}
	if strings.Contains(csr.Subject.CommonName, "@") {
		named = append(named, csr.Subject.CommonName)
	}
	return named
}

// checkRequest refuses what a request must not ask for: another address, a weak key, or one that was lost.
// Whatever else it asks for is passed over: the authority's profile decides.
func (p *Provider) checkRequest(ctx context.Context, csr *x509.CertificateRequest, a address.Address) error {
	if err := pkix.CheckRequest(csr); err != nil {
		return &enrol.Refusal{Cause: errors.New("the request is not signed by its key")}
	}
	for _, text := range Named(csr) {
		other, err := certs.ParseMailbox(text, true)
		if err != nil || !p.Store.Same(other, a) {
			return &enrol.Refusal{Cause: fmt.Errorf("the request names another address than %s", a)}
		}
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return err
	}
	return p.unspoiled(ctx, csr)
}

// checkKey refuses keys that are not certified.
func checkKey(public any) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n >= leastRSA && n <= mostRSA && key.E >= leastExponent && pkix.CheckKey(key, leastRSA) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if n := key.Curve.Params().BitSize; n == 256 || n == 384 || n == 521 {
			return nil
		}
	case ed25519.PublicKey:
		return &enrol.Refusal{Cause: errors.New("a key of Ed25519 cannot be encrypted to; use RSA or EC")}
	}
	return &enrol.Refusal{Cause: fmt.Errorf("the key must be RSA with %d to %d bits and an exponent of %d or more, or EC on P-256, P-384 or P-521", leastRSA, mostRSA, leastExponent)}
}
