package scep

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// capabilities are what a server says that it can (RFC 8894 section 3.5.2).
type capabilities []string

// has reports whether a server has a capability; their case is not significant, as some
// servers have it.
func (c capabilities) has(name string) bool {
	return slices.ContainsFunc(c, func(s string) bool { return strings.EqualFold(s, name) })
}

// capabilities asks what the server can, and refuses one that has no AES or no SHA-256.
func (c *Client) capabilities(ctx context.Context) (capabilities, error) {
	text, _, err := c.do(ctx, http.MethodGet, opCaps, "", nil)
	if err != nil {
		return nil, err
	}
	can := capabilities(strings.Fields(string(text)))
	if can.has("SCEPStandard") { // AES, SHA-256 and POSTPKIOperation in one word
		return append(can, "AES", "SHA-256", "POSTPKIOperation"), nil
	}
	if !can.has("AES") || !can.has("SHA-256") {
		return nil, &enrol.Refusal{Cause: errors.New("the SCEP server does not say that it can AES and SHA-256; DES, Triple-DES, MD5 and SHA-1 are not used")}
	}
	return can, nil
}

// authority is a CA with those who act for it.
type authority struct {
	// all are its certificates, those above it and those who act for it.
	all []*x509.Certificate
	// recipient is the one to encrypt to; issuer is the CA itself.
	recipient, issuer *x509.Certificate
}

// authority asks for the certificates of the CA (section 4.2), and keeps those that the
// fingerprint makes trusted.
func (c *Client) authority(ctx context.Context) (*authority, error) {
	body, media, err := c.do(ctx, http.MethodGet, opCerts, "", nil)
	if err != nil {
		return nil, err
	}
	list, err := readAuthority(body, media)
	if err != nil {
		return nil, fmt.Errorf("SCEP server: %s: %w", opCerts, err)
	}
	if c.Fingerprint != "" {
		if list = below(list, c.Fingerprint); len(list) == 0 {
			return nil, fmt.Errorf("SCEP server: %s: no certificate has the SHA-256 fingerprint %s: this is another CA", opCerts, c.Fingerprint)
		}
	}
	if c.plain || c.RAFingerprint != "" {
		if list, err = acting(list, c.RAFingerprint); err != nil {
			return nil, fmt.Errorf("SCEP server: %s: %w", opCerts, err)
		}
	}
	a := &authority{all: list}
	a.choose()
	if a.recipient == nil {
		return nil, &enrol.Refusal{Cause: errors.New("the SCEP server has no certificate with an RSA key, to which requests could be encrypted")}
	}
	return a, nil
}

func readAuthority(body []byte, media string) ([]*x509.Certificate, error) {
	switch media {
	case typeCA:
		one, err := pkix.ParseCertificate(body)
		return []*x509.Certificate{one}, err
	case typeRA:
		list, problems, err := cms.ParseBundle(body)
		return list, errors.Join(append(problems, err)...)
	}
	return nil, fmt.Errorf("the answer is neither %s nor %s", typeCA, typeRA)
}

// acting are the CA certificates of a list and the one of the RA, which must have a
// fingerprint: by what a certificate says, any holder of one that the CA issued could be the RA.
func acting(list []*x509.Certificate, ra string) ([]*x509.Certificate, error) {
	var known []*x509.Certificate
	var unknown *x509.Certificate
	named := false
	for _, c := range list {
		switch {
		case ra != "" && fingerprintOf(c) == ra:
			known, named = append(known, c), true
		case c.IsCA:
			known = append(known, c)
		default:
			unknown = c
		}
	}
	switch {
	case ra != "" && !named:
		return nil, fmt.Errorf("no certificate below the CA has the SHA-256 fingerprint %s of ra_fingerprint: this is another RA, or its certificate was renewed", ra)
	case ra == "" && unknown != nil:
		return nil, fmt.Errorf("over http any holder of a certificate of the CA can pose as its RA; if %q with the SHA-256 fingerprint %s is the RA, set ra_fingerprint",
			pkix.SubjectString(unknown), fingerprintOf(unknown))
	}
	return known, nil
}

// fingerprintOf is the SHA-256 fingerprint of a certificate, in hexadecimal.
func fingerprintOf(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }

// below are the certificate that has a fingerprint and those that it issued, directly or
// not.
func below(list []*x509.Certificate, fingerprint string) []*x509.Certificate {
	var known []*x509.Certificate
	for range list {
		for _, c := range list {
			trusted := fingerprintOf(c) == fingerprint ||
				slices.ContainsFunc(known, func(k *x509.Certificate) bool { return k.IsCA && pkix.SignedBy(c, k, false) })
			if trusted && !slices.Contains(known, c) {
				known = append(known, c)
			}
		}
	}
	return known
}

// choose finds whom to encrypt to: one who acts for the CA (RA), or the lowest CA itself.
func (a *authority) choose() {
	for _, c := range a.all {
		lowest := c.IsCA && !slices.ContainsFunc(a.all, func(o *x509.Certificate) bool {
			return o != c && o.IsCA && !ca.SelfIssued(o) && pkix.SignedBy(o, c, false)
		})
		if lowest && a.issuer == nil {
			a.issuer = c
		}
	}
	for _, c := range a.all {
		_, isRSA := c.PublicKey.(*rsa.PublicKey)
		acts := !c.IsCA && (c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageKeyEncipherment != 0)
		if isRSA && (acts || c == a.issuer && a.recipient == nil) {
			a.recipient = c
		}
	}
	if a.issuer == nil {
		a.issuer = a.recipient
	}
}

// signs reports whether the holder of a certificate speaks for the CA.
func (a *authority) signs(c *x509.Certificate) bool {
	return slices.ContainsFunc(a.all, c.Equal)
}

// issued reports whether the CA issued a certificate.
func (a *authority) issued(c *x509.Certificate) bool {
	return slices.ContainsFunc(a.all, func(i *x509.Certificate) bool { return i.IsCA && pkix.SignedBy(c, i, false) })
}
