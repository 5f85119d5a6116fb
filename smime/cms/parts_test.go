package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

func pemCertificates(t testing.TB, data []byte) (list []*x509.Certificate) {
	t.Helper()
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return list
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, cert)
	}
}

func typeName(v any) string { return fmt.Sprintf("%T", v) }

func TestIDMatches(t *testing.T) {
	id, other := newIdentity(t, "p256"), newIdentity(t, "p256-b")
	serial := integerBytes(id.cert.SerialNumber)
	for name, tc := range map[string]struct {
		id   ID
		want bool
	}{
		"issuer and serial":  {CertificateID(id.cert), true},
		"ski":                {ID{SubjectKeyID: id.cert.SubjectKeyId}, true},
		"empty":              {ID{}, false},
		"serial only":        {ID{Serial: serial}, false},
		"issuer only":        {ID{RawIssuer: id.cert.RawIssuer}, false},
		"another serial":     {ID{RawIssuer: id.cert.RawIssuer, Serial: []byte{1}}, false},
		"another's":          {CertificateID(other.cert), false},
		"another's ski":      {ID{SubjectKeyID: other.cert.SubjectKeyId}, false},
		"ski wins over name": {ID{RawIssuer: id.cert.RawIssuer, Serial: serial, SubjectKeyID: []byte("x")}, false},
	} {
		if got := tc.id.Matches(id.cert); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	// an empty identifier must not match a certificate that has none
	bare := *id.cert
	bare.SubjectKeyId = nil
	if (ID{SubjectKeyID: []byte{}}).Matches(&bare) {
		t.Error("empty identifier matches")
	}
}

func TestIntegerBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "00", 1: "01", 127: "7f", 128: "0080", 255: "00ff", 256: "0100", 32768: "008000",
		-1: "ff", -128: "80", -129: "ff7f", -256: "ff00", -32768: "8000", -32769: "ff7fff",
	} {
		if got := integerBytes(big.NewInt(n)); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%d: %x", n, got)
		}
	}
	for in, want := range map[string]string{"00": "00", "0001": "01", "000080": "0080", "ffff": "ff", "ff7f": "ff7f", "ffff80": "80", "": ""} {
		if got := minimalInteger(unhex(t, in)); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%s: %x", in, got)
		}
	}
}

func TestKeyPreference(t *testing.T) {
	id := newIdentity(t, "p256")
	ski := id.cert.SubjectKeyId
	for name, value := range map[string][]byte{
		"issuer and serial": built(func(b *builder) { b.issuerAndSerial(tagContext0, id.cert) }),
		"recipient key":     built(func(b *builder) { m := b.open(tagContext0 + 1); b.tlv(tagOctetString, ski); b.close(m) }),
		"recipient key with date": built(func(b *builder) {
			m := b.open(tagContext0 + 1)
			b.tlv(tagOctetString, ski)
			b.tlv(tagGeneralizedTime, []byte("20260101000000Z"))
			b.close(m)
		}),
		"subject key": built(func(b *builder) { b.tlv(tagContext+2, ski) }),
	} {
		attrs := append(goodAttributes(content), attribute(oidEncryptionKeyPreference, value))
		info := forgedInfo{id: id, attrs: attrs}.der(t)
		r := verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{info}}.der(), VerifyOptions{})
		if r.Err != nil || r.EncryptionID == nil || !r.EncryptionID.Matches(id.cert) {
			t.Errorf("%s: %v, %v", name, r.EncryptionID, r.Err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	der := built(func(b *builder) {
		m := b.open(tagSequence)
		b.algorithm(oidAES256GCM, nil)
		b.algorithm(oidAES128CBC, null())                   // NULL instead of nothing
		b.algorithm(oidRC2CBC, []byte{2, 2, 0, 0x80})       // weak
		b.algorithm("\x2a\x03\x04", nil)                    // unknown
		b.algorithm(oidAES256CBC, []byte{tagInteger, 1, 5}) // with parameters that mean nothing to us
		b.close(m)
	})
	list, err := ParseCapabilities(der)
	if err != nil || len(list) != 5 {
		t.Fatalf("%d, %v", len(list), err)
	}
	if got := list.Ciphers(); !slices.Equal(got, []Cipher{AES256GCM, AES128CBC}) {
		t.Errorf("ciphers %v", got)
	}
	if !bytes.Equal(list.Marshal(), der) {
		t.Errorf("marshalled %x", list.Marshal())
	}
	many := built(func(b *builder) {
		m := b.open(tagSequence)
		for range maxCapabilities + 1 {
			b.algorithm("\x2a", nil)
		}
		b.close(m)
	})
	if _, err := ParseCapabilities(many); !errors.Is(err, ErrTooBig) {
		t.Errorf("many: %v", err)
	}
	if _, err := ParseCapabilities(append(der, 5, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("trailing data: %v", err)
	}
	for _, c := range DefaultCapabilities() {
		if !c.Known() || c.Weak() {
			t.Errorf("we announce %s", c)
		}
	}
}

func TestCipherNames(t *testing.T) {
	for c, want := range map[Cipher][3]bool{ // known, authenticated, weak
		AES128CBC: {true, false, false}, AES256GCM: {true, true, false}, ChaCha20Poly1305: {true, true, false},
		TripleDES: {false, false, true}, RC2: {false, false, true}, "": {}, "1.2.3": {},
	} {
		if got := [3]bool{c.Known(), c.Authenticated(), c.Weak()}; got != want {
			t.Errorf("%q: %v", string(c), got)
		}
	}
}

func TestPSSParameters(t *testing.T) {
	good := pssParams(crypto.SHA256)
	for _, tc := range []struct {
		name string
		der  []byte
		want error
		hash crypto.Hash
		salt int
	}{
		{"ours", good, nil, crypto.SHA256, 32},
		{"defaults", []byte{tagSequence, 0}, nil, crypto.SHA1, 20},
		{"salt of 0", built(func(b *builder) {
			m := b.open(tagSequence)
			b.hashAndMask(crypto.SHA512)
			s := b.open(tagContext0 + 2)
			b.int(0)
			b.close(s)
			b.close(m)
		}), nil, crypto.SHA512, 0},
		{"trailer 1", []byte{tagSequence, 5, tagContext0 + 3, 3, tagInteger, 1, 1}, nil, crypto.SHA1, 20},
		{"trailer 2", []byte{tagSequence, 5, tagContext0 + 3, 3, tagInteger, 1, 2}, ErrUnsupported, 0, 0},
		{"huge salt", []byte{tagSequence, 6, tagContext0 + 2, 4, tagInteger, 2, 0x7f, 0xff}, ErrUnsupported, 0, 0},
		{"other mask", bytes.Replace(good, []byte(oidMGF1), []byte(oidPSS), 1), ErrUnsupported, 0, 0},
		{"mask of an unknown digest", append(bytes.Clone(good[:len(good)-7-9-2]), bytes.Replace(good[len(good)-7-9-2:], []byte(oidSHA256)[8:], []byte(oidSHA512)[8:], 1)...), ErrUnsupported, 0, 0},
		{"mask of another digest", bytes.Replace(bytes.Replace(good, []byte(oidSHA256), []byte(oidSHA512), 2), []byte(oidSHA512), []byte(oidSHA256), 1), nil, crypto.SHA256, 32},
		{"none", nil, ErrUnsupported, 0, 0},
		{"null", null(), ErrUnsupported, 0, 0},
	} {
		_, err := signatureAlgorithm(algorithm{oid: []byte(oidPSS), params: tc.der}, tc.hash)
		if pss, _ := pkix.ReadPSS(tc.der); !errors.Is(err, tc.want) || err == nil && pss.Salt != tc.salt {
			t.Errorf("%s: %+v, %v", tc.name, pss, err)
		}
	}
}

// Keys that would take seconds to use are refused before they are.
func TestHugeKeys(t *testing.T) {
	huge := func(oid string, params []byte, bits int) *x509.Certificate {
		n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
		return issueFor(t, "huge", spki(oid, params, x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: n, E: 65537})))
	}
	id := newIdentity(t, "rsa2048")
	for _, tc := range []struct {
		cert *x509.Certificate
		want error
	}{
		{huge(oidRSA, null(), 16384), ErrUnsupported}, {huge(oidPSS, nil, 16384), ErrUnsupported},
		{huge(oidRSA, null(), 262144), ErrUnsupported}, {huge(oidRSA, null(), 512), ErrWeak},
	} {
		info := forgedInfo{id: &identity{key: id.key, cert: tc.cert}, attrs: goodAttributes(content), signature: []byte("\x30\x0d\x06\x09" + oidRSA + "\x05\x00")}
		r := verifyOne(t, forgery{content: content, certs: []*x509.Certificate{tc.cert}, infos: [][]byte{info.der(t)}}.der(), VerifyOptions{AllowWeak: true})
		if !errors.Is(r.Err, tc.want) {
			t.Errorf("verified: %v", r.Err)
		}
		_, err := Encrypt(EncryptRequest{Recipients: []*x509.Certificate{tc.cert}})
		if one, ok := errors.AsType[*RecipientError](err); !errors.Is(err, tc.want) || !ok || one.Certificate != tc.cert {
			t.Errorf("encrypted: %v", err)
		}
	}
	for name, key := range map[string]string{"empty": "", "no sequence": "\x05\x00", "zero": "\x30\x06\x02\x01\x00\x02\x01\x03", "exponent": "\x30\x0e\x02\x01\x05\x02\x09\x7f\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, err := PublicKey(issueFor(t, "bad", spki(oidPSS, nil, []byte(key)))); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContentType(t *testing.T) {
	for in, want := range map[string]Type{
		"\x30\x80\x06\x09" + oidSignedData:              TypeSigned,
		"\x30\x0b\x06\x09" + oidEnvelopedData:           TypeEnveloped,
		"\x30\x80\x06\x0b" + oidAuthEnvelopedData:       TypeAuthEnveloped,
		"\x30\x80\x06\x0b" + oidCompressedData + "\xa0": TypeCompressed,
		"\x30\x80\x06\x09" + oidData:                    TypeData,
		"\x30\x80\x06\x02\x2a\x03":                      "1.2.3",
	} {
		if got, err := ContentType([]byte(in)); got != want || err != nil {
			t.Errorf("%x: %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "\x30", "\x30\x80", "\x04\x00", "\x30\x80\x05\x00", "text", "MIIB"} {
		if got, err := ContentType([]byte(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
	// another object than the one asked for
	if _, err := ParseEnvelopedData(CertsOnly(nil, nil).Bytes()); !errors.Is(err, ErrMalformed) {
		t.Errorf("signed as enveloped: %v", err)
	}
}

// What files and transports leave behind an object does no harm; other octets do.
func TestTrailingOctets(t *testing.T) {
	der := CertsOnly(nil, nil).Bytes()
	for tail, ok := range map[string]bool{"": true, "\n": true, "\r\n\r\n": true, "\x00\x00\x00": true, "x": false, "\n\x30\x00": false} {
		if _, err := ParseSignedData(append(bytes.Clone(der), tail...)); (err == nil) != ok {
			t.Errorf("%q: %v", tail, err)
		}
	}
}
