package revocation

import (
	"context"
	"crypto/fips140"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

const (
	// skew is how far the responder's clock may be before ours.
	skew = 5 * time.Minute
	// fresh is how old a response without nextUpdate may be, which says that
	// newer information is always available (RFC 6960 section 2.4).
	fresh = time.Hour
	// held is how long such a response is remembered.
	held = 5 * time.Minute
)

// authorized finds who signed the response, the issuer or one to whom it has
// delegated that (RFC 6960 section 4.2.2.2), and returns the certificate of the
// latter, nil for the issuer.
func (r *basicResponse) authorized(issuer *x509.Certificate, at time.Time, allowSHA1 bool) (*x509.Certificate, error) {
	if r.algorithm.Broken() || r.algorithm.Weak() && !allowSHA1 {
		return nil, fmt.Errorf("the OCSP response is signed with %s", r.algorithm.Digest())
	}
	if r.signedBy(issuer) {
		return nil, nil
	}
	err := errors.New("the OCSP response is not signed by an authorized responder, or not by the one named in it")
	for _, c := range r.certs {
		if !r.signedBy(c) {
			continue
		}
		if err = delegate(c, issuer, at, allowSHA1); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// signedBy reports whether c is whom the response names as its signer, and is it.
func (r *basicResponse) signedBy(c *x509.Certificate) bool {
	return r.responder.names(c) && r.algorithm.Verify(pkix.PublicKey(c), r.signed, r.signature)
}

// delegate reports whether issuer has made c an OCSP responder for itself.
func delegate(c, issuer *x509.Certificate, at time.Time, allowSHA1 bool) error {
	switch {
	case !pkix.SameName(c.RawIssuer, issuer.RawSubject) || !pkix.SignedBy(c, issuer, allowSHA1):
		return errors.New("the certificate of the OCSP responder is not from the issuer")
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return errors.New("the certificate of the OCSP responder is not for OCSP")
	case !pkix.AllowsUse(c, x509.KeyUsageDigitalSignature):
		return errors.New("the certificate of the OCSP responder is not for signatures")
	case pkix.CheckKey(pkix.PublicKey(c), pkix.MinRSAArchive) != nil:
		return errors.New("the key of the OCSP responder is too weak")
	case at.Before(c.NotBefore) || at.After(c.NotAfter):
		return errors.New("the certificate of the OCSP responder is not valid now")
	case len(c.UnhandledCriticalExtensions) > 0:
		return errors.New("the certificate of the OCSP responder has a critical extension that is not understood")
	}
	return nil
}

// current says why the response does not count at the time at, "" if it does.
func (r *response) current(at time.Time, stale time.Duration) string {
	switch {
	case r.thisUpdate.After(at.Add(skew)):
		return "the OCSP response is not valid before " + stamp(r.thisUpdate)
	case r.nextUpdate.IsZero() && at.Sub(r.thisUpdate) > fresh+stale:
		return "the OCSP response is of " + stamp(r.thisUpdate) + ", too old"
	case !r.nextUpdate.IsZero() && r.nextUpdate.Before(r.thisUpdate):
		return "nextUpdate of the OCSP response is before thisUpdate"
	case !r.nextUpdate.IsZero() && at.After(r.nextUpdate.Add(stale)):
		return "the OCSP response expired at " + stamp(r.nextUpdate)
	}
	return ""
}

// ends is how long the response may be remembered.
func (r *response) ends(now time.Time) time.Time {
	until := r.nextUpdate
	if until.IsZero() {
		until = now.Add(held)
	}
	if r.responder != nil && r.responder.NotAfter.Before(until) {
		until = r.responder.NotAfter
	}
	return until
}

// Request returns an OCSP request about cert, in DER. It bears no nonce, so that
// responders may answer from memory (RFC 5019 section 2.1.1).
func Request(cert, issuer *x509.Certificate) ([]byte, error) {
	var der []byte
	var err error
	// SHA-1 only names the issuer there, and responders know no other (RFC 5019 section 2.1.1).
	fips140.WithoutEnforcement(func() { der, err = ocsp.CreateRequest(cert, issuer, nil) })
	if err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	return der, nil
}

// ask queries one responder about cert, or looks at what is kept under key of an
// earlier answer.
func (f *Fetcher) ask(ctx context.Context, address, key string, kept bool, cert, issuer *x509.Certificate, allowSHA1 bool) (*response, error) {
	if kept {
		if r := f.keptResponse(key, cert, issuer, allowSHA1); r != nil {
			return r, nil
		}
	}
	request, err := Request(cert, issuer)
	if err != nil {
		return nil, err
	}
	var r *response
	err = f.do(ctx, http.MethodPost, address, "application/ocsp-request", request, maxSmall, func(body io.Reader) error {
		body, keep, done := f.disk.tee(key, body)
		defer done()
		der, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		if r, err = f.interpret(der, cert, issuer, allowSHA1); err == nil {
			keep()
		}
		return err
	})
	return r, err
}

// interpret reads a response and checks who has signed it, whether it is about
// cert, and whether it counts now.
func (f *Fetcher) interpret(der []byte, cert, issuer *x509.Certificate, allowSHA1 bool) (*response, error) {
	basic, err := readResponse(der)
	if err != nil {
		return nil, err
	}
	now := f.cfg.Clock()
	responder, err := basic.authorized(issuer, now, allowSHA1)
	if err != nil {
		return nil, err
	}
	r, err := basic.about(cert, issuer, now)
	if err != nil {
		return nil, err
	}
	r.responder = responder
	return r, nil
}

// keptResponse reads a response from disk, nil if there is none that counts.
func (f *Fetcher) keptResponse(key string, cert, issuer *x509.Certificate, allowSHA1 bool) *response {
	file := f.disk.open(key)
	if file == nil {
		return nil
	}
	defer file.Close()
	der, err := io.ReadAll(io.LimitReader(file, maxSmall))
	if err != nil {
		return nil
	}
	r, err := f.interpret(der, cert, issuer, allowSHA1)
	if err != nil || r.nextUpdate.IsZero() { // without an end, only new ones count
		return nil
	}
	return r
}
