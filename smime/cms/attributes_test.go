package cms

import (
	"crypto"
	"errors"
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
		{"unknown attribute twice", append(goodAttributes(content), attribute("\x2a\x03\x04", null), attribute("\x2a\x03\x04", null)), ErrAttributes},
		{"unknown attribute with no value", append(goodAttributes(content), attributeWith("\x2a\x03\x04")), ErrAttributes},
		{"signing time is no time", append(goodAttributes(content), attribute(oidSigningTime, null)), ErrAttributes},
		{"digest is no octet string", [][]byte{good[0], attribute(oidMessageDigest, null)}, ErrAttributes},
		{"signing certificate of another", append(goodAttributes(content), attribute(oidSigningCertificateV2, built(func(b *builder) { b.signingCertificateV2(other.cert) }))), ErrAttributes},
		{"capabilities are nonsense", append(goodAttributes(content), attribute(oidCapabilities, null)), ErrAttributes},
		{"preference is nonsense", append(goodAttributes(content), attribute(oidEncryptionKeyPreference, null)), ErrAttributes},
		{"protection of another digest", append(goodAttributes(content), attribute(oidAlgorithmProtection, protection(alg(oidSHA512), alg(oidECDSASHA256)))), ErrAttributes},
		{"protection of another signature", append(goodAttributes(content), attribute(oidAlgorithmProtection, protection(alg(oidSHA256), alg(oidECDSASHA512)))), ErrAttributes},
		{"protection is nonsense", append(goodAttributes(content), attribute(oidAlgorithmProtection, null)), ErrAttributes},

		{"digest of another content", goodAttributes([]byte("other")), ErrDigest},
		{"digest cut short", [][]byte{good[0], digestAttribute(sum(crypto.SHA256, content)[:31])}, ErrDigest},
		{"digest empty", [][]byte{good[0], digestAttribute(nil)}, ErrDigest},
	} {
		info := forgedInfo{id: id, attrs: tc.attrs, unsorted: true}.der(t)
		r := verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{info}}.der(), VerifyOptions{})
		if !errors.Is(r.Err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, r.Err, tc.want)
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
