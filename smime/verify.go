package smime

import (
	"crypto"
	"crypto/x509"
	"errors"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// signature is a signed layer that was read.
type signature struct {
	data *cms.SignedData
	// content is the detached content; nil: the object holds it, or it is large.
	content []byte
	// large is the detached content where that is not in memory, and spooled that of an
	// object that was read as a stream where a signature is over that itself.
	large   *message.Part
	spooled []byte
	// clear says that the layer is multipart/signed.
	clear bool
	// held are certificates of its signers that the message does not bring.
	held []*x509.Certificate
	// sums are the digests of a large content, as it is and with CRLF line ends.
	sums [2]map[crypto.Hash][]byte
}

// verify checks the signatures over the raw bytes and, where all of them are
// over other bytes, over the bytes with CRLF line ends: what was signed as mail
// and stored as a file has lost them (RFC 8551 section 3.1.1). second says that
// the second reading was needed.
func (s *signature) verify() (results []cms.SignerResult, second bool) {
	results = s.read(false)
	if s.content == nil && s.large == nil || !allChanged(results) || s.large == nil && message.LineEnds(s.content) == message.CRLF {
		return results, false
	}
	again := s.read(true)
	if allChanged(again) {
		return results, false
	}
	return again, true
}

// read checks the signatures over the content as it is, or with CRLF line ends.
func (s *signature) read(crlf bool) []cms.SignerResult {
	// What is weak or bare is judged here, so that the report can name it.
	o := cms.VerifyOptions{AllowWeak: true, AllowBare: true, Certificates: s.held}
	switch {
	case s.large != nil:
		o.Digests = s.digests(crlf)
	case s.spooled != nil:
		o.Content = [][]byte{s.spooled}
	case s.content == nil:
	case crlf:
		o.Content = [][]byte{message.Canonical(s.content)}
	default:
		o.Content = [][]byte{s.content}
	}
	return s.data.Verify(o)
}

// digests returns those of a large content, by all functions that the signers use.
func (s *signature) digests(crlf bool) map[crypto.Hash][]byte {
	known, r := &s.sums[0], s.large.Reader()
	if crlf {
		known, r = &s.sums[1], message.CanonicalReader(r)
	}
	if *known == nil {
		sums, err := cms.Digest(r, s.data.Digests()...)
		if err != nil {
			sums = map[crypto.Hash][]byte{} // which no signature is over
		}
		*known = sums
	}
	return *known
}

// allChanged reports whether every signature is over other bytes.
func allChanged(results []cms.SignerResult) bool {
	for _, r := range results {
		if !errors.Is(r.Err, cms.ErrDigest) {
			return false
		}
	}
	return len(results) > 0
}

// judge turns what the arithmetic says of a signer into the report's words,
// with the verdict on the certificate.
func (w *walker) judge(r cms.SignerResult, data *cms.SignedData) Signer {
	s := Signer{
		Addresses: []string{}, Digest: cms.DigestName(r.Digest), Signature: r.Signature,
		Chain: "unchecked", Revocation: "unchecked",
	}
	if !r.SigningTime.IsZero() {
		t := r.SigningTime.UTC()
		s.SigningTime = &t
	}
	if r.Certificate != nil {
		s.describe(r.Certificate)
	}
	switch {
	case errors.Is(r.Err, cms.ErrNoCertificate) && w.heldOut != nil:
		s.fail(certs.TempError, ReasonNoSigner, "it could not be looked up: "+w.heldOut.Error())
	case r.Err != nil:
		result, reason := signerError(r.Err)
		s.fail(result, reason, r.Err.Error())
		s.broken = result == certs.Fail
	case r.WeakDigest && !w.options.AllowSHA1, r.WeakKey && !w.options.AllowRSA1024:
		s.fail(certs.PolicyNo, certs.WeakSignature, "the signature is weak: "+r.Weak)
	case r.Bare && !w.options.AllowBare:
		s.fail(certs.PolicyNo, ReasonBare, "the signature is over the content itself, without signed attributes")
	case w.options.Checker == nil:
		s.fail(certs.Neutral, ReasonUnchecked, "")
	default:
		w.check(&s, data)
	}
	if r.Err == nil {
		s.Capabilities, s.Preferred, s.Bundle = r.Capabilities, r.EncryptionID, data.Certificates
	}
	if s.Result == certs.Pass && r.Bare && s.DomainSigner == "" {
		s.Reason, s.Detail = ReasonBare, "accepted by configuration"
	}
	if s.Result == certs.Pass {
		if d := w.stale(r.SigningTime); d != "" {
			s.fail(certs.PolicyNo, ReasonStale, d)
		}
	}
	return s
}

// signerError maps an error of the arithmetic (RFC 7281 section 4).
func signerError(err error) (certs.Result, certs.Reason) {
	switch {
	case errors.Is(err, cms.ErrDigest):
		return certs.Fail, ReasonTampered
	case errors.Is(err, cms.ErrAttributes):
		return certs.Fail, ReasonAttributes
	case errors.Is(err, cms.ErrNoCertificate):
		return certs.PermError, ReasonNoSigner
	case errors.Is(err, cms.ErrWeak):
		return certs.PolicyNo, certs.WeakSignature
	case errors.Is(err, cms.ErrNotApproved):
		return certs.PolicyNo, ReasonNotApproved
	case errors.Is(err, cms.ErrUnsupported):
		return certs.Neutral, ReasonUnsupported
	case errors.Is(err, cms.ErrMalformed), errors.Is(err, cms.ErrCertificate):
		return certs.PermError, ReasonMalformed
	}
	return certs.Fail, ReasonSignature
}

// check asks for the verdict on the certificate of a good signature. Where the
// author is not known, the chain is judged all the same, and never passes.
func (w *walker) check(s *Signer, data *cms.SignedData) {
	request := certs.Request{
		Purpose:       certs.ForSigning,
		Intermediates: data.Certificates,
		CRLs:          data.CRLs,
		Revocation:    w.options.Revocation,
		At:            w.options.At,
	}
	from, err := author(w.given)
	if err == nil {
		request.Addresses, w.report.Author = []address.Address{from}, from
	}
	v := w.options.Checker.Check(w.ctx, s.Certificate, request)
	if v.Reason == certs.WrongAddress && err == nil {
		v = w.checkDomainSigner(s, request, v)
	}
	s.Result, s.Reason, s.Detail = v.Result, v.Reason, v.Detail
	s.Chain, s.Revocation = v.ChainState, v.Revocation
	if err != nil && v.Result == certs.Pass {
		s.fail(certs.Fail, ReasonNoAuthor, err.Error())
	}
	if s.DomainSigner != "" && s.Result == certs.Pass {
		s.Reason, s.Detail = ReasonDomainSignature, s.DomainSigner+" signs for "+from.Domain()
	}
}

// checkDomainSigner judges a certificate that does not name the author and may sign
// for the author's domain: all but the name must be good.
func (w *walker) checkDomainSigner(s *Signer, request certs.Request, wrong certs.Verdict) certs.Verdict {
	if w.options.DomainSigner == nil {
		return wrong
	}
	name := w.options.DomainSigner(request.Addresses[0], s.Certificate)
	if name == "" {
		return wrong
	}
	s.DomainSigner = name
	request.Addresses = nil
	return w.options.Checker.Check(w.ctx, s.Certificate, request)
}

// maxDelay is how much later than the signing time the Date field may be. A
// signature made long before the message says it was written is an old one that
// is sent again under a new header; one made later is a message that waited.
const maxDelay = 4 * time.Hour

// maxAhead is how far in the future a signing time may lie: clocks and time zones are
// wrong by less. A signature from further ahead could be sent again until then, as new.
const maxAhead = 24 * time.Hour

// stale compares the claimed signing time with the clock and the Date field, and says
// why the signature may be an old one, or become one that no reader takes for old. Where
// the time that a reader shows is not known for sure, it may: the sender of an old
// signature writes the field.
func (w *walker) stale(signed time.Time) string {
	if signed.IsZero() {
		return ""
	}
	now := w.options.At
	if now.IsZero() {
		now = time.Now()
	}
	date, err := w.given.Date()
	switch {
	case signed.Sub(now) > maxAhead:
		return "the signing time is more than a day in the future"
	case err != nil:
		return "it is unknown whether it was signed when the message was written: " + err.Error()
	case date.Sub(signed) > maxDelay:
		return "signed long before the time of the Date field"
	}
	return ""
}
