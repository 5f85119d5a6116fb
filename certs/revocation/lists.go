package revocation

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Lists is a collection of revocation lists. None of them is believed before
// its signature was checked with the key of the issuer in question.
type Lists struct {
	lists []*x509.RevocationList
}

// NewLists reads lists in DER.
func NewLists(ders [][]byte) (*Lists, error) {
	l := &Lists{}
	for i, der := range ders {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("revocation list %d: %w", i+1, err)
		}
		l.lists = append(l.lists, list)
	}
	return l, nil
}

// With returns the collection with more lists, of which those that are not
// well-formed are passed over: strangers sent them.
func (l *Lists) With(ders [][]byte) *Lists {
	if len(ders) == 0 {
		return l
	}
	more := &Lists{lists: slices.Clone(l.lists)}
	for _, der := range ders {
		if list, err := x509.ParseRevocationList(der); err == nil {
			more.lists = append(more.lists, list)
		}
	}
	return more
}

// Status looks for cert, which issuer has signed, at the time at.
func (l *Lists) Status(cert, issuer *x509.Certificate, at time.Time) Answer {
	answer := Answer{Text: "no revocation list of its issuer"}
	for _, list := range l.lists {
		if !bytes.Equal(list.RawIssuer, cert.RawIssuer) {
			continue
		}
		if text := unusable(list, issuer, at); text != "" {
			answer.Text = text
			continue
		}
		for _, e := range list.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(cert.SerialNumber) == 0 && !e.RevocationTime.After(at) {
				return Answer{Status: Revoked, Text: fmt.Sprintf("revoked at %s", e.RevocationTime.UTC().Format(time.RFC3339))}
			}
		}
		answer = Answer{Status: Good, NextUpdate: list.NextUpdate}
	}
	return answer
}

func unusable(list *x509.RevocationList, issuer *x509.Certificate, at time.Time) string {
	switch {
	case at.Before(list.ThisUpdate):
		return "the revocation list is not valid yet"
	case at.After(list.NextUpdate):
		return "the revocation list has expired"
	case list.CheckSignatureFrom(issuer) != nil:
		return "the revocation list is not signed by the issuer"
	}
	for _, e := range list.Extensions {
		if e.Critical {
			return "the revocation list has a critical extension that is not understood"
		}
	}
	return ""
}
