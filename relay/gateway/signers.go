package gateway

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// domainSigner is by what name a certificate signs for the author's domain, where an
// agreement with a partner says so.
func (g *Gateway) domainSigner(author address.Address, cert *x509.Certificate) string {
	return g.Partners.Signer(author, enforce.SignerFacts{
		Addresses: certs.Addresses(cert), Hosts: cert.DNSNames, Fingerprint: fingerprint(cert),
	})
}

// signers finds the certificate of a signer that a message does not bring (RFC
// 8550 section 2.3): among those of [trust], those of the gateway's identities,
// and what the directories, the store with what was harvested among them, have
// for the author and for those who sign for the author's domain. It is
// smime.SignerLookup.
func (g *Gateway) signers(ctx context.Context, id cms.ID, author address.Address) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	if g.Trusted != nil {
		found = g.Trusted(id)
	}
	own, failed := g.Keys.Decryption(ctx, id)
	for _, identity := range own {
		found = append(found, identity.Certificate)
	}
	if len(found) > 0 || author.IsNull() {
		return found, failed
	}
	for _, a := range append([]address.Address{author}, g.Partners.SignerAddresses(author)...) {
		result := g.Directory.Lookup(ctx, a)
		for _, c := range result.Candidates {
			if id.Matches(c.Certificate) {
				found = append(found, c.Certificate)
			}
		}
		if len(found) > 0 {
			return found, failed
		}
		if failed == nil && result.Outcome == directory.Unknown {
			failed = fmt.Errorf("lookup for %s: %s", a, result.Reason())
		}
	}
	return nil, failed
}
