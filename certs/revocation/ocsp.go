package revocation

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

var oidBasicResponse = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

var errResponse = errors.New("not a well-formed OCSP response")

// response is what an OCSP responder said about one certificate (RFC 6960
// section 4.2), its signature verified.
type response struct {
	status                 Status
	text                   string
	thisUpdate, nextUpdate time.Time         // nextUpdate zero: none
	responder              *x509.Certificate // to whom the issuer has delegated; nil: the issuer itself
}

// basicResponse is a BasicOCSPResponse taken apart.
type basicResponse struct {
	signed    []byte // tbsResponseData
	algorithm pkix.Algorithm
	signature []byte
	certs     []*x509.Certificate
	responder responderID
	produced  time.Time
	singles   []cryptobyte.String
}

// responseStatus are the words of OCSPResponseStatus.
var responseStatus = [...]string{"successful", "malformed request", "internal error", "try later", "", "signature required", "unauthorized"}

// readResponse reads an OCSPResponse.
func readResponse(answer []byte) (*basicResponse, error) {
	der := cryptobyte.String(pkix.TrimDER(answer))
	var seq, outer, inner, basic cryptobyte.String
	var status int
	if !der.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !der.Empty() || !seq.ReadASN1Enum(&status) {
		return nil, errResponse
	}
	if status != 0 {
		if status < 0 || status >= len(responseStatus) {
			return nil, errResponse
		}
		return nil, fmt.Errorf("the OCSP responder says: %s", responseStatus[status])
	}
	var kind asn1.ObjectIdentifier
	if !seq.ReadASN1(&outer, contextTag(0).Constructed()) || !outer.ReadASN1(&inner, cryptobyte_asn1.SEQUENCE) ||
		!inner.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidBasicResponse) ||
		!inner.ReadASN1(&basic, cryptobyte_asn1.OCTET_STRING) ||
		!seq.Empty() || !outer.Empty() || !inner.Empty() {
		return nil, errResponse
	}
	return readBasic(basic)
}

func readBasic(der cryptobyte.String) (*basicResponse, error) {
	var seq, tbs, alg cryptobyte.String
	var r basicResponse
	if !der.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !der.Empty() ||
		!seq.ReadASN1Element(&tbs, cryptobyte_asn1.SEQUENCE) ||
		!seq.ReadASN1Element(&alg, cryptobyte_asn1.SEQUENCE) ||
		!seq.ReadASN1BitStringAsBytes(&r.signature) {
		return nil, errResponse
	}
	r.signed = tbs
	var id asn1.ObjectIdentifier
	var ok bool
	if r.algorithm, id, ok = pkix.ReadAlgorithm(alg); !ok {
		return nil, fmt.Errorf("OCSP response: signature algorithm %s is not supported", id)
	}
	if !r.readCertificates(seq) {
		return nil, errResponse
	}
	return &r, r.readData(tbs)
}

// maxResponderCertificates limits the certificates of a response.
const maxResponderCertificates = 8

func (r *basicResponse) readCertificates(seq cryptobyte.String) bool {
	var outer, list cryptobyte.String
	var present bool
	if !seq.ReadOptionalASN1(&outer, &present, contextTag(0).Constructed()) || !seq.Empty() {
		return false
	}
	if !present {
		return true
	}
	if !outer.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) || !outer.Empty() {
		return false
	}
	for !list.Empty() && len(r.certs) < maxResponderCertificates {
		var der cryptobyte.String
		if !list.ReadASN1Element(&der, cryptobyte_asn1.SEQUENCE) {
			return false
		}
		if c, err := pkix.ParseCertificate(der); err == nil {
			r.certs = append(r.certs, c)
		}
	}
	return true
}

// readData reads ResponseData (RFC 6960 section 4.2.1).
func (r *basicResponse) readData(tbs cryptobyte.String) error {
	var seq, list cryptobyte.String
	if !tbs.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) ||
		!seq.SkipOptionalASN1(contextTag(0).Constructed()) || !r.responder.read(&seq) ||
		!readTime(&seq, &r.produced) || !seq.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) {
		return errResponse
	}
	for !list.Empty() {
		var single cryptobyte.String
		if !list.ReadASN1(&single, cryptobyte_asn1.SEQUENCE) {
			return errResponse
		}
		r.singles = append(r.singles, single)
	}
	return lastExtensions(seq)
}

// lastExtensions reads the [1] Extensions with which a sequence may end. None is
// known that must be understood, so that a critical one makes the answer useless
// (RFC 6960 section 4.4).
func lastExtensions(s cryptobyte.String) error {
	var extensions cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&extensions, &present, contextTag(1).Constructed()) || !s.Empty() {
		return errResponse
	}
	if !present {
		return nil
	}
	err := eachExtension(extensions, func(id asn1.ObjectIdentifier, critical bool, _ cryptobyte.String) error {
		if critical {
			return fmt.Errorf("the OCSP response has the critical extension %s, which is not understood", id)
		}
		return nil
	})
	if errors.Is(err, errShape) {
		return errResponse
	}
	return err
}

// about returns what the response says about cert, issued by issuer, at the time
// at. Of several answers that count then, the worst one is it.
func (r *basicResponse) about(cert, issuer *x509.Certificate, at time.Time) (*response, error) {
	var worst *response
	err := errors.New("the OCSP response is about other certificates")
	for _, s := range r.singles {
		var element cryptobyte.String
		if !s.ReadASN1Element(&element, cryptobyte_asn1.SEQUENCE) {
			return nil, errResponse
		}
		id, ok := pkix.ReadCertID(&element)
		if !ok || !id.OfIssuer(cert.RawIssuer, issuer.RawSubjectPublicKeyInfo) || !bytes.Equal(id.Serial, serialOf(cert)) {
			continue
		}
		one, failed := readSingle(s)
		if failed != nil {
			return nil, failed
		}
		if text := one.current(at, 0); text != "" {
			err = errors.New(text)
		} else if worst == nil || severity[one.status] > severity[worst.status] {
			worst = one
		}
	}
	if worst == nil {
		return nil, err
	}
	if r.produced.After(at.Add(skew)) || worst.thisUpdate.After(r.produced.Add(skew)) {
		return nil, fmt.Errorf("the OCSP response says that it was made at %s, and is of %s", stamp(r.produced), stamp(worst.thisUpdate))
	}
	return worst, nil
}

// severity orders what several answers about one certificate say.
var severity = map[Status]int{Good: 0, Unknown: 1, Revoked: 2}

// readSingle reads a SingleResponse behind its CertID.
func readSingle(s cryptobyte.String) (*response, error) {
	var value, next cryptobyte.String
	var tag cryptobyte_asn1.Tag
	var hasNext bool
	r := &response{}
	if !s.ReadAnyASN1(&value, &tag) || !readTime(&s, &r.thisUpdate) ||
		!s.ReadOptionalASN1(&next, &hasNext, contextTag(0).Constructed()) || hasNext && (!readTime(&next, &r.nextUpdate) || !next.Empty()) {
		return nil, errResponse
	}
	if err := lastExtensions(s); err != nil {
		return nil, err
	}
	switch tag {
	case contextTag(0):
		r.status, r.text = Good, "the OCSP responder says good"
	case contextTag(1).Constructed():
		var at time.Time
		if !readTime(&value, &at) {
			return nil, errResponse
		}
		r.status, r.text = Revoked, "revoked at "+stamp(at)
		reason := 0
		var code cryptobyte.String
		if value.ReadASN1(&code, contextTag(0).Constructed()) && code.ReadASN1Enum(&reason) && reason >= 0 && reason < len(reasonNames) {
			r.text += ": " + reasonNames[reason]
		}
	default:
		r.text = "the OCSP responder does not know it"
	}
	return r, nil
}

func readTime(s *cryptobyte.String, t *time.Time) bool {
	return s.ReadASN1GeneralizedTime(t)
}
