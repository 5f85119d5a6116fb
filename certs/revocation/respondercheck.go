package revocation

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
)

// oidNoCheck is id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1).
var oidNoCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}

// checkedResponder returns the answer of a responder whose certificate still stands (RFC
// 6960 section 4.2.2.2.1): unless its issuer says that no check is needed, it must
// not be on a list that we know or that it points to. Where it points to none
// there is nothing to ask: a responder cannot speak for itself.
func (f *Fetcher) checkedResponder(ctx context.Context, answer Answer, responder *x509.Certificate, q Question, known *Lists) Answer {
	if slices.ContainsFunc(responder.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidNoCheck) }) {
		return answer
	}
	q.Cert = responder
	status := known.Status(q)
	if status.Status == Unknown {
		points, ok := readPoints(responder)
		if ok && len(points) == 0 {
			return answer
		}
		lists, err := f.fetchLists(ctx, q)
		if err != nil && len(lists) == 0 {
			return Answer{Text: "the status of the OCSP responder is unknown: " + err.Error()}
		}
		status = known.with(lists).Status(q)
	}
	switch status.Status {
	case Revoked:
		return Answer{Text: "the certificate of the OCSP responder was " + status.Text}
	case Unknown:
		return Answer{Text: "the status of the OCSP responder is unknown: " + status.Text}
	}
	if !status.NextUpdate.IsZero() && status.NextUpdate.Before(answer.NextUpdate) {
		answer.NextUpdate = status.NextUpdate
	}
	return answer
}
