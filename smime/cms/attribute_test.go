package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

var (
	oidTransaction = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}     // RFC 8894 section 3.2.1.1
	oidStamp       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14} // RFC 3161 appendix A
)

// Attributes and content types of the caller's come back as they were signed, and
// what stands beside the signature may depend on it.
func TestOwnAttributes(t *testing.T) {
	id := newIdentity(t, "p256")
	own, err := NewAttribute(oidTransaction, "17")
	if err != nil {
		t.Fatal(err)
	}
	var stamped []byte
	o, err := Sign(SignRequest{Content: [][]byte{[]byte("text")}, ContentType: "1.2.840.113549.1.9.16.1.4", Signers: []Signer{{
		Certificate: id.cert, Key: id.key, Attributes: []Attribute{own},
		Unsigned: func(signature []byte) ([]Attribute, error) {
			stamped = signature
			a, err := NewAttribute(oidStamp, signature)
			return []Attribute{a}, err
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSignedData(o.Bytes())
	if err != nil || s.ContentType != "1.2.840.113549.1.9.16.1.4" {
		t.Fatalf("%v, %v", s, err)
	}
	r := s.Verify(VerifyOptions{})[0]
	if r.Err != nil || valueOf(r.SignedAttributes(), oidTransaction) != string(own.Values[0]) {
		t.Errorf("signed: %v, %v", r.SignedAttributes(), r.Err)
	}
	if valueOf(r.SignedAttributes(), pkix.ObjectIdentifier([]byte(oidCapabilities))) != "" {
		t.Error("capabilities of mail in what is none")
	}
	if got := valueOf(r.UnsignedAttributes(), oidStamp); !strings.HasSuffix(got, string(stamped)) || len(stamped) == 0 {
		t.Errorf("not signed: %x", got)
	}
	changed := bytes.Replace(o.Bytes(), own.Values[0], []byte("\x13\x0218"), 1)
	if s, err = ParseSignedData(changed); err != nil {
		t.Fatal(err)
	}
	if r := s.Verify(VerifyOptions{})[0]; !errors.Is(r.Err, ErrSignature) || r.SignedAttributes() != nil || r.UnsignedAttributes() != nil {
		t.Errorf("with a changed attribute: %v, %v", r.Err, r.SignedAttributes())
	}
}

func valueOf(list []Attribute, id asn1.ObjectIdentifier) string {
	for _, a := range list {
		if a.Type.Equal(id) {
			return string(a.Values[0])
		}
	}
	return ""
}

// What would make an object that others refuse, or that says two things, is not made.
func TestSignRefusesAttributes(t *testing.T) {
	id, ed := newIdentity(t, "p256"), newIdentity(t, "ed25519")
	own := Attribute{Type: oidTransaction, Values: [][]byte{null()}}
	text := [][]byte{[]byte("text")}
	attributes := [][]byte{built(func(b *builder) {
		m := b.open(tagSet)
		b.raw(attribute(oidSigningTime, null()))
		b.close(m)
	})}
	with := func(change func(*Signer)) Signer {
		s := Signer{Certificate: id.cert, Key: id.key}
		change(&s)
		return s
	}
	bare := with(func(s *Signer) { s.Bare = true })
	for name, r := range map[string]SignRequest{
		"attribute of Sign's own": {Content: text, Signers: []Signer{with(func(s *Signer) {
			s.Attributes = []Attribute{{pkix.ObjectIdentifier([]byte(oidMessageDigest)), [][]byte{null()}}}
		})}},
		"attribute twice":                 {Content: text, Signers: []Signer{with(func(s *Signer) { s.Attributes = []Attribute{own, own} })}},
		"attribute without value":         {Content: text, Signers: []Signer{with(func(s *Signer) { s.Attributes = []Attribute{{Type: oidTransaction}} })}},
		"value that is no element":        {Content: text, Signers: []Signer{with(func(s *Signer) { s.Attributes = []Attribute{{oidTransaction, [][]byte{{4, 9}}}} })}},
		"content type that is none":       {Content: text, ContentType: "mail", Signers: []Signer{with(func(*Signer) {})}},
		"bare with attributes":            {Content: text, Signers: []Signer{with(func(s *Signer) { s.Bare, s.Attributes = true, []Attribute{own} })}},
		"bare, another content type":      {Content: text, ContentType: "1.2.3", Signers: []Signer{bare}},
		"bare, in the form of attributes": {Content: attributes, Signers: []Signer{bare}},
		"bare Ed25519 of a digest":        {Detached: true, Digests: map[crypto.Hash][]byte{crypto.SHA512: make([]byte, 64)}, Signers: []Signer{{Certificate: ed.cert, Key: ed.key, Bare: true}}},
		"element of data":                 {Content: [][]byte{null()}, Element: true, Signers: []Signer{with(func(*Signer) {})}},
		"element that is none":            {Content: text, ContentType: "1.2.3", Element: true, Signers: []Signer{with(func(*Signer) {})}},
	} {
		if o, err := Sign(r); err == nil || !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, o != nil, err)
		}
	}
}

// A signature without attributes is read where the caller asks for it only.
func TestBareSigning(t *testing.T) {
	for _, kind := range []string{"rsa2048", "p256", "ed25519"} {
		id := newIdentity(t, kind)
		o, err := Sign(SignRequest{Content: [][]byte{[]byte("te"), []byte("xt")}, Signers: []Signer{{Certificate: id.cert, Key: id.key, Bare: true}}})
		if err != nil {
			t.Fatal(kind, err)
		}
		if r := verifyOne(t, o.Bytes(), VerifyOptions{AllowBare: true}); r.Err != nil || !r.Bare || len(r.SignedAttributes()) != 0 {
			t.Errorf("%s: %+v", kind, r)
		}
		if r := verifyOne(t, o.Bytes(), VerifyOptions{}); !errors.Is(r.Err, ErrAttributes) {
			t.Errorf("%s unasked: %v", kind, r.Err)
		}
	}
}

// An element of PKCS #7 1.5, as in Authenticode, is signed without its header.
func TestElement(t *testing.T) {
	id := newIdentity(t, "p256")
	long := built(func(b *builder) {
		m := b.open(tagSequence)
		b.tlv(tagOctetString, make([]byte, 300))
		b.close(m)
	})
	o, err := Sign(SignRequest{Content: [][]byte{long[:3], long[3:]}, ContentType: "1.3.6.1.4.1.311.2.1.4", Element: true,
		Signers: []Signer{{Certificate: id.cert, Key: id.key}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSignedData(o.Bytes())
	if err != nil || !bytes.Equal(s.Element, long) || !bytes.Equal(s.Content.Bytes(), long[4:]) {
		t.Fatalf("%v", err)
	}
	if r := s.Verify(VerifyOptions{})[0]; r.Err != nil {
		t.Error(r.Err)
	}
	if r := s.Verify(VerifyOptions{Content: [][]byte{long}})[0]; !errors.Is(r.Err, ErrDigest) {
		t.Errorf("with its header: %v", r.Err)
	}
}

func TestDigestOfReader(t *testing.T) {
	id := newIdentity(t, "p256")
	digests, err := Digest(strings.NewReader("a large content"), crypto.SHA256, crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	for h, got := range digests {
		if want := sum(h, []byte("a large content")); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", DigestName(h), got, want)
		}
	}
	o, err := Sign(SignRequest{Detached: true, Digests: digests, Signers: []Signer{{Certificate: id.cert, Key: id.key}}})
	if err != nil {
		t.Fatal(err)
	}
	if r := verifyOne(t, o.Bytes(), VerifyOptions{Content: [][]byte{[]byte("a large content")}}); r.Err != nil {
		t.Error(r.Err)
	}
	if _, err := Digest(strings.NewReader(""), crypto.Hash(0)); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}
