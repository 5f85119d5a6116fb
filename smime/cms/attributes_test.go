package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"
)

// Each case changes the attributes of a signature that is otherwise good, and
// signs what came out of it.
func TestAttributeRules(t *testing.T) {
	id, other := newIdentity(t, "p256"), newIdentity(t, "p256-b")
	good := goodAttributes(content)
	null := []byte{tagNull, 0}
	when := built(func(b *builder) { b.time(time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)) })
	oidTLV := func(oid string) []byte { return built(func(b *builder) { b.oid(oid) }) }
	alg := func(oid string) []byte { return built(func(b *builder) { b.algorithm(oid, nil) }) }
	protection := func(digest, signature []byte) []byte {
		signature[0] = tagContext0 + 1
		return built(func(b *builder) { m := b.open(tagSequence); b.raw(digest); b.raw(signature); b.close(m) })
	}
	for _, tc := range []struct {
		name  string
		attrs [][]byte
		want  error
	}{
		{"good", good, nil},
		{"unknown attribute", append(goodAttributes(content), attribute("\x2a\x03\x04", null)), nil},
		{"unknown attribute with two values", append(goodAttributes(content), attributeWith("\x2a\x03\x04", null, oidTLV("\x2a"))), nil},
		{"signing time", append(goodAttributes(content), attribute(oidSigningTime, when)), nil},
		{"signing certificate", append(goodAttributes(content), attribute(oidSigningCertificateV2, built(func(b *builder) { b.signingCertificateV2(id.cert) }))), nil},
		{"algorithm protection", append(goodAttributes(content), attribute(oidAlgorithmProtection, protection(alg(oidSHA256), alg(oidECDSASHA256)))), nil},

		{"empty set", [][]byte{}, ErrAttributes},
		{"no content type", good[1:], ErrAttributes},
		{"no digest", good[:1], ErrAttributes},
		{"other content type", [][]byte{typeAttribute(oidSignedData), good[1]}, ErrAttributes},
		{"content type twice", [][]byte{good[0], good[0], good[1]}, ErrAttributes},
		{"digest twice", [][]byte{good[0], good[1], good[1]}, ErrAttributes},
		{"two digests in two attributes", [][]byte{good[0], good[1], digestAttribute(make([]byte, 32))}, ErrAttributes},
		{"content type with two values", [][]byte{attributeWith(oidContentType, oidTLV(oidData), oidTLV(oidSignedData)), good[1]}, ErrAttributes},
		{"content type with no value", [][]byte{attributeWith(oidContentType), good[1]}, ErrAttributes},
		{"signing time with two values", append(goodAttributes(content), attributeWith(oidSigningTime, when, when)), ErrAttributes},
		{"signing time twice", append(goodAttributes(content), attribute(oidSigningTime, when), attribute(oidSigningTime, when)), ErrAttributes},
		{"unknown attribute twice", append(goodAttributes(content), attribute("\x2a\x03\x04", null), attribute("\x2a\x03\x04", null)), nil},
		{"unknown attribute with no value", append(goodAttributes(content), attributeWith("\x2a\x03\x04")), nil},
		{"signing time is no time", append(goodAttributes(content), attribute(oidSigningTime, null)), nil},
		{"digest is no octet string", [][]byte{good[0], attribute(oidMessageDigest, null)}, ErrAttributes},
		{"signing certificate of another", append(goodAttributes(content), attribute(oidSigningCertificateV2, built(func(b *builder) { b.signingCertificateV2(other.cert) }))), ErrAttributes},
		{"capabilities are nonsense", append(goodAttributes(content), attribute(oidCapabilities, null)), nil},
		{"preference is nonsense", append(goodAttributes(content), attribute(oidEncryptionKeyPreference, null)), nil},
		{"protection of another digest", append(goodAttributes(content), attribute(oidAlgorithmProtection, protection(alg(oidSHA512), alg(oidECDSASHA256)))), ErrAttributes},
		{"protection of another signature", append(goodAttributes(content), attribute(oidAlgorithmProtection, protection(alg(oidSHA256), alg(oidECDSASHA512)))), ErrAttributes},
		{"protection is nonsense", append(goodAttributes(content), attribute(oidAlgorithmProtection, null)), ErrAttributes},

		{"signing time without seconds", append(goodAttributes(content), attribute(oidSigningTime, []byte("\x17\x0b2605060708Z"))), nil},
		{"signing time with a fraction", append(goodAttributes(content), attribute(oidSigningTime, []byte("\x18\x1120260506070809.5Z"))), nil},
		{"signing time with no value", append(goodAttributes(content), attributeWith(oidSigningTime)), nil},
		{"capabilities as a set", append(goodAttributes(content), attribute(oidCapabilities, []byte{tagSet, 0})), nil},
		{"capabilities twice", append(goodAttributes(content), attribute(oidCapabilities, []byte{tagSequence, 0}), attribute(oidCapabilities, []byte{tagSequence, 0})), nil},
		{"capabilities with two values", append(goodAttributes(content), attributeWith(oidCapabilities, []byte{tagSequence, 0}, []byte{tagSequence, 0})), nil},
		{"preference twice", append(goodAttributes(content), attribute(oidEncryptionKeyPreference, null), attribute(oidEncryptionKeyPreference, null)), nil},
		{"signing certificate is nonsense", append(goodAttributes(content), attribute(oidSigningCertificateV2, null)), ErrAttributes},
		{"signing certificate with no value", append(goodAttributes(content), attributeWith(oidSigningCertificateV2)), ErrAttributes},
		{"digest in pieces", [][]byte{good[0], attribute(oidMessageDigest, pieces(sum(crypto.SHA256, content)))}, nil},

		{"digest of another content", goodAttributes([]byte("other")), ErrDigest},
		{"digest cut short", [][]byte{good[0], digestAttribute(sum(crypto.SHA256, content)[:31])}, ErrDigest},
		{"digest empty", [][]byte{good[0], digestAttribute(nil)}, ErrDigest},
	} {
		info := forgedInfo{id: id, attrs: tc.attrs, unsorted: true}.der(t)
		r := verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{info}}.der(), VerifyOptions{})
		if !errors.Is(r.Err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, r.Err, tc.want)
		}
		if strings.Contains(tc.name, "signing time ") && !r.SigningTime.IsZero() {
			t.Errorf("%s: %v", tc.name, r.SigningTime)
		}
	}
}

// pieces returns an OCTET STRING as BER may write it.
func pieces(b []byte) []byte {
	return built(func(out *builder) {
		m := out.open(tagOctetString | tagConstructed)
		out.tlv(tagOctetString, b[:5])
		out.tlv(tagOctetString, b[5:])
		out.close(m)
	})
}

// Signed attributes count in the octets that the signer hashed: those that came,
// or their DER, in which the values are as they came.
func TestAttributeForms(t *testing.T) {
	id := newIdentity(t, "p256")
	// Lengths in the long form inside of a value, as some cards write them.
	odd := attribute(oidCapabilities, []byte("\x30\x81\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a"))
	members := append(goodAttributes(content), odd)
	sorted := sortedSet(tagSet, members)
	var kept, long, indefinite builder
	m := kept.open(tagSet)
	for _, a := range [][]byte{odd, members[1], members[0]} {
		kept.raw(a)
	}
	kept.close(m)
	long.raw([]byte{tagSet, 0x82, 0, kept[1]})
	long.raw(kept[2:])
	indefinite.raw([]byte{tagSet, 0x80})
	indefinite.raw(kept[2:])
	indefinite.raw([]byte{0, 0})
	inside := bytes.Replace(sorted, []byte("\x30\x81\x0d\x30"), []byte("\x30\x0d\x30"), 1)
	inside[1]--
	for name, tt := range map[string]struct {
		written, covered []byte
		good             bool
	}{
		"DER":                             {sorted, sorted, true},
		"not sorted":                      {kept, kept, true},
		"not sorted, signed sorted":       {kept, sorted, true},
		"long length, signed so":          {long, long, true},
		"long length, signed as DER":      {long, kept, true},
		"long length, signed sorted":      {long, sorted, true},
		"indefinite, signed as DER":       {indefinite, kept, true},
		"indefinite, signed sorted":       {indefinite, sorted, true},
		"values re-encoded by the signer": {sorted, inside, false},
	} {
		signature, err := id.key.Sign(rand.Reader, sum(crypto.SHA256, tt.covered), crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		var b builder
		m := b.open(tagSequence)
		b.int(1)
		b.identifier(id.cert, false)
		b.algorithm(oidSHA256, nil)
		at := len(b)
		b.raw(tt.written)
		b[at] = tagContext0
		b.algorithm(oidECDSASHA256, nil)
		b.tlv(tagOctetString, signature)
		b.close(m)
		r := verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{b}}.der(), VerifyOptions{})
		if tt.good != (r.Err == nil) {
			t.Errorf("%s: %v", name, r.Err)
		}
	}
}

func TestUnsignedAttributes(t *testing.T) {
	id := newIdentity(t, "p256")
	when := built(func(b *builder) { b.time(time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)) })
	for _, tc := range []struct {
		name     string
		unsigned [][]byte
		want     error
	}{
		{"unknown", [][]byte{attribute("\x2a\x03\x04", []byte{tagNull, 0})}, nil},
		{"empty set", [][]byte{}, nil},
		{"signing time", [][]byte{attribute(oidSigningTime, when)}, ErrAttributes},
		{"content type", [][]byte{typeAttribute(oidData)}, ErrAttributes},
		{"nonsense", [][]byte{{tagNull, 0}}, ErrAttributes},
	} {
		info := forgedInfo{id: id, attrs: goodAttributes(content), unsigned: tc.unsigned}.der(t)
		r := verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{info}}.der(), VerifyOptions{})
		if !errors.Is(r.Err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, r.Err, tc.want)
		}
	}
}

func TestTime(t *testing.T) {
	for _, tc := range []struct {
		tag  byte
		text string
		want string // "" is an error
	}{
		{tagUTCTime, "260102030405Z", "2026-01-02T03:04:05Z"},
		{tagUTCTime, "491231235959Z", "2049-12-31T23:59:59Z"},
		{tagUTCTime, "500101000000Z", "1950-01-01T00:00:00Z"},
		{tagUTCTime, "991231235959Z", "1999-12-31T23:59:59Z"},
		{tagUTCTime, "150506002448-0400", "2015-05-06T04:24:48Z"},
		{tagGeneralizedTime, "20500101000000Z", "2050-01-01T00:00:00Z"},
		{tagUTCTime, "2601020304Z", ""},
		{tagUTCTime, "260102030405", ""},
		{tagUTCTime, "260102030405.5Z", ""},
		{tagUTCTime, "261302030405Z", ""},
		{tagGeneralizedTime, "20500101000000.1Z", ""},
		{tagOctetString, "260102030405Z", ""},
		{tagUTCTime, "", ""},
	} {
		var b builder
		b.tlv(tc.tag, []byte(tc.text))
		c := newCursor(b)
		got := c.time()
		if (c.err != nil) != (tc.want == "") || c.err == nil && got.Format(time.RFC3339) != tc.want {
			t.Errorf("%q: %v, %v", tc.text, got, c.err)
		}
	}
}

func TestSigningTimeForms(t *testing.T) {
	for _, want := range []time.Time{
		time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1949, 12, 31, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)),
	} {
		c := newCursor(built(func(b *builder) { b.time(want) }))
		if got := c.time(); c.err != nil || !got.Equal(want) {
			t.Errorf("%v: %v, %v", want, got, c.err)
		}
	}
}
