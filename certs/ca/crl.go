package ca

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// RootCRLValidity is how long the list of a root is good for: the root may lie in
// a safe for that long. BR 4.9.7 allows twelve months.
const RootCRLValidity = 360 * 24 * time.Hour

// Revoke notes that a certificate of this authority is not valid any more, and
// makes a new list that says so.
func (a *Authority) Revoke(ctx context.Context, cert *x509.Certificate, reason Reason) ([]byte, error) {
	if string(cert.RawIssuer) != string(a.Config.Certificate.RawSubject) {
		return nil, fmt.Errorf("certificate of %q: is not one of %q", pkix.SubjectString(cert), a.Config.Certificate.Subject.CommonName)
	}
	code, err := reason.code(cert.IsCA)
	if err != nil {
		return nil, err
	}
	at := a.Clock().UTC().Truncate(time.Second)
	if err := a.Ledger.Revoke(ctx, cert.RawIssuer, cert.SerialNumber, at, code); err != nil {
		return nil, fmt.Errorf("certificate of %q: %w", pkix.SubjectString(cert), err)
	}
	return a.CRL(ctx)
}

// CRL makes a new revocation list (RFC 5280 section 5, BR 7.2), keeps it in the
// ledger and returns its DER. Certificates that have ended by themselves are left
// out, after one more list has named them (RFC 5280 section 3.3).
func (a *Authority) CRL(ctx context.Context) ([]byte, error) {
	cert := a.Config.Certificate
	now := a.Clock().UTC().Truncate(time.Second)
	entries, err := a.Ledger.Revoked(ctx, cert.RawSubject, now.Add(-2*a.CRLValidity))
	if err != nil {
		return nil, fmt.Errorf("revocation list of %q: %w", cert.Subject.CommonName, err)
	}
	number, err := a.Ledger.NextCRLNumber(ctx, cert.RawSubject)
	if err != nil {
		return nil, fmt.Errorf("revocation list of %q: %w", cert.Subject.CommonName, err)
	}
	from := now.Add(-backdate)
	for _, e := range entries {
		if e.RevocationTime.After(from) {
			from = e.RevocationTime
		}
	}
	der, err := pkix.CreateRevocationList(&x509.RevocationList{
		Number: big.NewInt(number), ThisUpdate: from, NextUpdate: a.nextUpdate(now), RevokedCertificateEntries: entries,
	}, cert, a.Key)
	if err != nil {
		return nil, fmt.Errorf("revocation list of %q: %w", cert.Subject.CommonName, err)
	}
	if err := a.Ledger.KeepCRL(ctx, cert.RawSubject, number, der); err != nil {
		return nil, fmt.Errorf("revocation list of %q: %w", cert.Subject.CommonName, err)
	}
	return der, nil
}

func (a *Authority) nextUpdate(now time.Time) time.Time {
	next := now.Add(a.CRLValidity)
	if end := a.Config.Certificate.NotAfter; next.After(end) {
		return end
	}
	return next
}
