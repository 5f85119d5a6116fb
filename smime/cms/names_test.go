package cms

import (
	"bytes"
	"crypto"
	"errors"
	"testing"
	"unicode/utf16"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// renamed returns a Name with its first attribute value in another string type.
func renamed(t *testing.T, name []byte, tag byte, change func(string) []byte) []byte {
	t.Helper()
	c := newCursor(name)
	c.enter(tagSequence)
	c.enter(tagSet)
	c.enter(tagSequence)
	oid := c.primitive(tagOID)
	value := c.primitive(c.peek())
	c.leave()
	c.leave()
	var b builder
	m := b.open(tagSequence)
	set := b.open(tagSet)
	one := b.open(tagSequence)
	b.tlv(tagOID, oid)
	b.tlv(tag, change(string(value)))
	b.close(one)
	b.close(set)
	for c.more() {
		b.raw(c.raw())
	}
	b.close(m)
	if c.err != nil || bytes.Equal(b, name) {
		t.Fatalf("%x becomes %x: %v", name, []byte(b), c.err)
	}
	return b
}

// Names are compared as text, and not as octets (RFC 5280 section 7.1): a program
// that re-encodes one still names the same certificate.
func TestNamesInOtherStrings(t *testing.T) {
	id := newIdentity(t, "p256")
	same := func(s string) []byte { return []byte(s) }
	bmp := func(s string) (out []byte) {
		for _, u := range utf16.Encode([]rune(s)) {
			out = append(out, byte(u>>8), byte(u))
		}
		return out
	}
	issuer := id.cert.RawIssuer
	for name, tt := range map[string]struct {
		issuer []byte
		good   bool
	}{
		"printable": {renamed(t, renamed(t, issuer, 0x14, same), 0x13, same), true},
		"teletex":   {renamed(t, issuer, 0x14, same), true},
		"BMP":       {renamed(t, issuer, 0x1e, bmp), true},
		"case":      {renamed(t, issuer, 0x13, func(s string) []byte { return bytes.ToUpper([]byte(s)) }), true},
		"blanks":    {renamed(t, issuer, 0x13, func(s string) []byte { return []byte(" " + s + "  ") }), true},
		"other":     {renamed(t, issuer, 0x13, func(s string) []byte { return []byte(s + "x") }), false},
	} {
		named := *id.cert
		named.RawIssuer = tt.issuer
		other := &identity{key: id.key, cert: &named}
		object := func(attrs [][]byte) []byte {
			info := forgedInfo{id: other, attrs: attrs}.der(t)
			return forgery{content: content, certs: certificates(id), infos: [][]byte{info}}.der()
		}
		check := func(what string, got bool) {
			if got != tt.good {
				t.Errorf("%s, %s: %v", name, what, got)
			}
		}
		check("signer", verifyOne(t, object(goodAttributes(content)), VerifyOptions{}).Err == nil)
		ess := built(func(b *builder) { // the hash of the certificate, and the other name
			b.signingCertificateV2(&named)
		})
		honest := forgedInfo{id: id, attrs: append(goodAttributes(content), attribute(oidSigningCertificateV2, ess))}.der(t)
		r := verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{honest}}.der(), VerifyOptions{})
		check("signing certificate", r.Err == nil)
		if !tt.good && !errors.Is(r.Err, ErrAttributes) {
			t.Errorf("%s: %v", name, r.Err)
		}
		preference := attribute(oidEncryptionKeyPreference, built(func(b *builder) { b.issuerAndSerial(tagContext0, &named) }))
		honest = forgedInfo{id: id, attrs: append(goodAttributes(content), preference)}.der(t)
		r = verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{honest}}.der(), VerifyOptions{})
		check("preference", r.EncryptionID != nil && r.EncryptionID.Matches(id.cert))
		check("recipient", ID{RawIssuer: tt.issuer, Serial: integerBytes(id.cert.SerialNumber)}.Matches(id.cert))
	}
	limit, _ := pkix.ReadPSS(pssParams(crypto.SHA256))
	if (pkix.PSS{Hash: crypto.SHA256, Mask: crypto.SHA1, Salt: 32}).Within(limit) {
		t.Error("a key restricted to one mask digest signs with another")
	}
}
