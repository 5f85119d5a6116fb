package ocsp

import (
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Limits on a request, which anybody may send.
const (
	maxRequest   = 8 << 10 // octets
	maxQuestions = 8       // certificates that it asks about
	maxNonce     = 128     // octets (RFC 9654 section 2.1)
)

var (
	oidNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

	errMalformed = errors.New("not a well-formed OCSP request")
)

// request is an OCSPRequest.
type request struct {
	ids []pkix.CertID
	// nonce is the value of the extension, nil where there is none.
	nonce []byte
}

// parse reads an OCSPRequest (RFC 6960 section 4.1.1). A signature on it is not looked at:
// the answers are for everybody.
func parse(der []byte) (request, error) {
	var r request
	var outer, tbs, list, extensions cryptobyte.String
	var present bool
	version, whole := int64(0), cryptobyte.String(der)
	if len(der) > maxRequest || !whole.ReadASN1(&outer, cryptobyte_asn1.SEQUENCE) || !whole.Empty() ||
		!outer.ReadASN1(&tbs, cryptobyte_asn1.SEQUENCE) || !outer.SkipOptionalASN1(contextTag(0)) || !outer.Empty() ||
		!tbs.ReadOptionalASN1Integer(&version, contextTag(0), int64(0)) || version != 0 ||
		!tbs.SkipOptionalASN1(contextTag(1)) ||
		!tbs.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) ||
		!tbs.ReadOptionalASN1(&extensions, &present, contextTag(2)) || !tbs.Empty() || list.Empty() {
		return r, errMalformed
	}
	for !list.Empty() {
		id, ok := readQuestion(&list)
		if !ok || len(r.ids) == maxQuestions {
			return r, errMalformed
		}
		r.ids = append(r.ids, id)
	}
	if present && !r.readExtensions(extensions) {
		return r, errMalformed
	}
	return r, nil
}

func readQuestion(list *cryptobyte.String) (id pkix.CertID, ok bool) {
	var one cryptobyte.String
	if !list.ReadASN1(&one, cryptobyte_asn1.SEQUENCE) {
		return id, false
	}
	id, ok = pkix.ReadCertID(&one)
	return id, ok && one.SkipOptionalASN1(contextTag(0)) && one.Empty()
}

// readExtensions reads the nonce (RFC 9654 section 2.1). A critical extension that is not
// understood makes the request useless; no other is.
func (r *request) readExtensions(s cryptobyte.String) bool {
	var list cryptobyte.String
	if !s.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) || !s.Empty() {
		return false
	}
	for !list.Empty() {
		var one, value, octets cryptobyte.String
		var id asn1.ObjectIdentifier
		var critical bool
		if !list.ReadASN1(&one, cryptobyte_asn1.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&id) ||
			!one.ReadOptionalASN1Boolean(&critical, cryptobyte_asn1.BOOLEAN, false) ||
			!one.ReadASN1(&value, cryptobyte_asn1.OCTET_STRING) || !one.Empty() {
			return false
		}
		switch {
		case id.Equal(oidNonce):
			if r.nonce != nil || !value.ReadASN1(&octets, cryptobyte_asn1.OCTET_STRING) || !value.Empty() || len(octets) == 0 || len(octets) > maxNonce {
				return false
			}
			r.nonce = octets
		case critical:
			return false
		}
	}
	return true
}

func contextTag(n uint8) cryptobyte_asn1.Tag {
	return cryptobyte_asn1.Tag(n).ContextSpecific().Constructed()
}
