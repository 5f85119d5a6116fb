package smime

import (
	"context"
	"crypto/x509"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// namedFirst is a checker that finds a revocation after the name was accepted only.
type namedFirst struct{}

func (namedFirst) Check(_ context.Context, _ *x509.Certificate, r certs.Request) certs.Verdict {
	if len(r.Addresses) > 0 {
		return certs.Verdict{Result: certs.Fail, Reason: certs.WrongAddress}
	}
	return certs.Verdict{Result: certs.Fail, Reason: certs.Revoked}
}

// A domain signer's certificate must be good in all but the name.
func TestDomainSignerIsJudged(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Checker = namedFirst{}
	o.DomainSigner = func(address.Address, *x509.Certificate) string { return "gateway" }
	got := Open(t.Context(), w.sign(t, mail(t, text), w.bob, SignOptions{}), o)
	if r := got.Report; r.Result != certs.Fail || r.Reason != certs.Revoked {
		t.Errorf("%+v", r)
	}
}
