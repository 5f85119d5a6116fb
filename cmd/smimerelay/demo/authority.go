package demo

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

// authority is the built-in one, by which the identities of the demo are made.
type authority struct {
	root, issuing *certs.Identity
	ledger        *store.Store // in memory
}

// url is where the authority would publish; nothing of the demo is fetched.
const url = "http://pki.example.org/smime/"

// newAuthority makes an authority that is older than the identities that expired.
func newAuthority(clock func() time.Time) (*authority, error) {
	pair, err := ca.Create(ca.Plan{
		Organization: "smimerelay demo", Country: "XX", URL: url, Key: "p256",
		Clock: func() time.Time { return clock().AddDate(-3, 0, 0) },
	})
	if err != nil {
		return nil, err
	}
	ledger, err := store.Open(context.Background(), store.Config{Clock: clock})
	if err != nil {
		return nil, err
	}
	return &authority{pair.Root, pair.Issuing, ledger}, nil
}

func (a *authority) close() error { return a.ledger.Close() }

// anchors are the certificates that the gateway trusts.
func (a *authority) anchors() []*x509.Certificate { return []*x509.Certificate{a.root.Certificate} }

// issue makes an identity that is valid for a year from a time.
func (a *authority) issue(addr, key string, from time.Time) (*certs.Identity, error) {
	parsed, err := address.Parse(addr)
	if err != nil {
		return nil, err
	}
	signer, ok := a.issuing.Key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key of the demo's authority cannot sign")
	}
	issuer, err := ca.New(ca.Config{
		Certificate: a.issuing.Certificate, Key: signer, Ledger: a.ledger,
		Place: ca.Place{URL: url, Name: ca.Issuing},
		Clock: func() time.Time { return from },
	})
	if err != nil {
		return nil, err
	}
	ids, err := issuer.Issue(context.Background(), ca.Request{Address: parsed, Key: key, Validity: 365 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	return ids[0], nil
}
