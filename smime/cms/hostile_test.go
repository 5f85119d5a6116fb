package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/x509"
	"errors"
	"slices"
	"testing"
)

// parsers are everything that reads an object.
var parsers = map[string]func([]byte) error{
	"content type": func(b []byte) error { _, err := ContentType(b); return err },
	"signed": func(b []byte) error {
		s, err := ParseSignedData(b)
		if err == nil {
			for _, r := range s.Verify(VerifyOptions{}) {
				err = errors.Join(err, r.Err)
			}
		}
		return err
	},
	"enveloped":  func(b []byte) error { _, err := ParseEnvelopedData(b); return err },
	"compressed": func(b []byte) error { _, _, err := Decompress(b, Limits{}); return err },
}

// Elements of indefinite length, opened a million times: the stack must not
// follow, and time must not grow with the square.
func TestDeepNest(t *testing.T) {
	const million = 1 << 20
	nest := bytes.Repeat([]byte{0x30, 0x80}, 2*million)
	for name, parse := range parsers {
		if err := parse(nest); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pieces := bytes.Repeat([]byte{0x24, 0x80}, million)
	closed := append(slices.Clone(nest[:2*million]), make([]byte, 2*million)...)
	for name, inside := range map[string][]byte{"open": nest, "closed": closed, "pieces": pieces} {
		for where, der := range map[string][]byte{
			"signed content":       rawSigned(inside, nil, nil),
			"certificates":         rawSigned([]byte{4, 0}, inside, nil),
			"signers":              rawSigned([]byte{4, 0}, nil, inside),
			"recipients":           rawEnveloped(inside, []byte{0x80, 0}),
			"ciphertext":           rawEnveloped(nil, inside),
			"agreement":            rawEnveloped(append([]byte{0xa1, 0x80, 2, 1, 3}, inside...), nil),
			"ciphertext pieces":    rawEnveloped(nil, append([]byte{0xa0, 0x80}, inside...)),
			"compressed":           rawCompressed(inside),
			"unprotected":          rawEnveloped(nil, append([]byte{0x80, 0x01, 0, 0xa1, 0x80}, inside...)),
			"attributes of signer": rawSigned([]byte{4, 0}, nil, append([]byte{0x30, 0x80, 2, 1, 1, 0x80, 1, 1, 0x30, 0x80, 6, 1, 1, 0, 0, 0xa0, 0x80}, inside...)),
		} {
			for parser, parse := range parsers {
				if parser == "content type" {
					continue
				}
				if err := parse(der); !errors.Is(err, ErrMalformed) {
					t.Errorf("%s in %s by %s: %v", name, where, parser, err)
				}
			}
		}
	}
}

// rawSigned is SignedData of indefinite length around raw parts.
func rawSigned(content, certs, signers []byte) []byte {
	b := builder("\x30\x80\x06\x09" + oidSignedData + "\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80\x06\x09" + oidData + "\xa0\x80")
	b.raw(content)
	b.raw([]byte{0, 0, 0, 0})
	b.raw([]byte{0xa0, 0x80})
	b.raw(certs)
	b.raw([]byte{0, 0, 0x31, 0x80})
	b.raw(signers)
	b.raw(make([]byte, 8))
	return b
}

// rawEnveloped is the same for EnvelopedData.
func rawEnveloped(recipients, content []byte) []byte {
	b := builder("\x30\x80\x06\x09" + oidEnvelopedData + "\xa0\x80\x30\x80\x02\x01\x00\x31\x80")
	b.raw(recipients)
	b.raw([]byte{0, 0, 0x30, 0x80})
	b.oid(oidData)
	b.algorithm(oidAES128CBC, []byte{4, 1, 0})
	b.raw(content)
	b.raw(make([]byte, 8))
	return b
}

func rawCompressed(content []byte) []byte {
	b := builder("\x30\x80")
	b.oid(oidCompressedData)
	b.raw([]byte{0xa0, 0x80, 0x30, 0x80, 2, 1, 0})
	b.algorithm(oidZlib, nil)
	b.raw([]byte{0x30, 0x80})
	b.oid(oidData)
	b.raw([]byte{0xa0, 0x80})
	b.raw(content)
	b.raw(make([]byte, 10))
	return b
}

// Content in four million elements of no octets, of which each costs the same:
// with anything that grows faster this does not end.
func TestTinyElements(t *testing.T) {
	const count = 4_000_000
	tiny := append(append([]byte{0x24, 0x80}, bytes.Repeat([]byte{4, 0}, count)...), 0, 0)
	s, err := ParseSignedData(rawSigned(tiny, nil, nil))
	if err != nil || s.Content.Len() != 0 || len(s.Content.Bytes()) != 0 {
		t.Errorf("signed: %v", err)
	}
	tiny[0] = 0xa0
	if e, err := ParseEnvelopedData(rawEnveloped(nil, tiny)); err != nil || e.content.size != 0 {
		t.Errorf("enveloped: %v", err)
	}
	// a quarter of a million nested and empty constructed strings
	nested := append(append([]byte{0x24, 0x80}, bytes.Repeat([]byte{0x24, 0x80, 0, 0}, count/16)...), 0, 0)
	if _, err := ParseSignedData(rawSigned(nested, nil, nil)); err != nil {
		t.Errorf("nested: %v", err)
	}
	// and as many elements where they are skipped
	unprotected := append(bytes.Repeat([]byte{0x30, 0x80, 0, 0}, count/16), 0, 0)
	if _, err := ParseEnvelopedData(rawEnveloped(nil, append([]byte{0x80, 1, 0, 0, 0, 0xa1, 0x80}, unprotected...))); err != nil {
		t.Errorf("unprotected: %v", err)
	}
}

func TestManyRecipients(t *testing.T) {
	id := newIdentity(t, "p256")
	e := encrypter{request: &EncryptRequest{}, spec: AES128CBC.spec(), key: make([]byte, 16), ephemeral: make(map[ecdh.Curve]*ecdh.PrivateKey)}
	var one builder
	if err := e.recipient(&one, id.cert); err != nil {
		t.Fatal(err)
	}
	transport := builder("\x30\x80\x02\x01\x02\x80\x01\x01\x30\x00\x04\x00\x00\x00")
	for name, list := range map[string][]byte{
		"infos":     bytes.Repeat([]byte("\x30\x80\x02\x01\x02\x80\x01\x01\x30\x03\x06\x01\x01\x04\x00\x00\x00"), 200_000),
		"agreement": manyKeys(one, 200_000),
		"shared":    bytes.Repeat([]byte("\xa2\x00"), 200_000),
	} {
		if _, err := ParseEnvelopedData(rawEnveloped(list, []byte{0x80, 0})); !errors.Is(err, ErrTooBig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseEnvelopedData(rawEnveloped(transport, []byte{0x80, 0})); !errors.Is(err, ErrMalformed) {
		t.Errorf("no algorithm: %v", err)
	}
	many := make([]*x509.Certificate, maxRecipientsWritten+1)
	if _, err := Encrypt(EncryptRequest{Recipients: many}); !errors.Is(err, ErrTooBig) {
		t.Errorf("writing: %v", err)
	}
	if _, err := Encrypt(EncryptRequest{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("no recipient: %v", err)
	}
}

// manyKeys puts n recipients into one key agreement.
func manyKeys(info []byte, n int) []byte {
	c := newCursor(info)
	c.enter(tagContext0 + 1)
	var b builder
	m := b.open(tagContext0 + 1)
	for range 3 {
		b.raw(c.raw())
	}
	c.enter(tagSequence)
	one := c.raw()
	list := b.open(tagSequence)
	b.raw(bytes.Repeat(one, n))
	b.close(list)
	b.close(m)
	return b
}

func TestManySignersAndCertificates(t *testing.T) {
	id := newIdentity(t, "p256")
	info := forgedInfo{id: id, attrs: goodAttributes(content)}.der(t)
	if _, err := ParseSignedData(rawSigned([]byte{4, 0}, nil, bytes.Repeat(info, maxSigners+1))); !errors.Is(err, ErrTooBig) {
		t.Errorf("signers: %v", err)
	}
	if s, err := ParseSignedData(rawSigned([]byte{4, 0}, nil, bytes.Repeat(info, maxSigners))); err != nil || s.Signers() != maxSigners {
		t.Errorf("as many signers as may be: %v", err)
	}
	large := built(func(b *builder) { b.tlv(tagSequence, make([]byte, maxCertificate)) })
	if s, err := ParseSignedData(rawSigned([]byte{4, 0}, large, nil)); err != nil || len(s.Skipped) != 1 || !errors.Is(s.Skipped[0], ErrTooBig) {
		t.Errorf("large certificate: %v", err)
	}
	for name, one := range map[string][]byte{"good": id.cert.Raw, "bad": {0x30, 0}, "other": {0xa1, 0}} {
		if _, err := ParseSignedData(rawSigned([]byte{4, 0}, bytes.Repeat(one, maxCertificates+1), nil)); !errors.Is(err, ErrTooBig) {
			t.Errorf("%s certificates: %v", name, err)
		}
		if _, err := ParseSignedData(rawSigned([]byte{4, 0}, bytes.Repeat(one, maxCertificates), nil)); err != nil {
			t.Errorf("as many %s certificates as may be: %v", name, err)
		}
	}
}

// An info that can not be read fails the message: it must not be dropped, or a
// message with a strange signer would count as one without.
func TestMalformedSignerIsNotDropped(t *testing.T) {
	id := newIdentity(t, "p256")
	info := forgedInfo{id: id, attrs: goodAttributes(content)}.der(t)
	for n := 1; n < len(info); n += 7 {
		cut := append([]byte{0x30, 0x82, byte((n - 4) >> 8), byte(n - 4)}, info[4:max(n, 4)]...)
		if s, err := ParseSignedData(forgery{content: content, certs: certificates(id), infos: [][]byte{cut}}.der()); err == nil {
			t.Errorf("cut at %d: %d signers", n, s.Signers())
		}
	}
}

// A detached signature over attributes is presented as an opaque one, without
// attributes, over a content that consists of their bytes
// (draft-ietf-lamps-cms-euf-cma-signeddata).
func TestSignedAttributesAsContent(t *testing.T) {
	id := newIdentity(t, "p256")
	honest := forgedInfo{id: id, attrs: goodAttributes(content)}
	set := honest.set()
	r := verifyOne(t, forgery{content: content, certs: certificates(id), infos: [][]byte{honest.der(t)}}.der(), VerifyOptions{})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	repacked := forgedInfo{id: id, message: set}.der(t)
	r = verifyOne(t, forgery{content: set, certs: certificates(id), infos: [][]byte{repacked}}.der(), VerifyOptions{})
	if !errors.Is(r.Err, ErrAttributes) {
		t.Errorf("accepted: %v", r.Err)
	}
}

// The content that is shown is the content that was verified.
func TestContentBothInsideAndDetached(t *testing.T) {
	id := newIdentity(t, "p256")
	info := forgedInfo{id: id, attrs: goodAttributes(content)}.der(t)
	der := forgery{content: content, certs: certificates(id), infos: [][]byte{info}}.der()
	shown := [][]byte{[]byte("something else")}
	if r := verifyOne(t, der, VerifyOptions{Content: shown}); !errors.Is(r.Err, ErrDigest) {
		t.Errorf("other content: %v", r.Err)
	}
	if r := verifyOne(t, der, VerifyOptions{Digests: map[crypto.Hash][]byte{crypto.SHA256: make([]byte, 32)}}); !errors.Is(r.Err, ErrDigest) {
		t.Errorf("other digest: %v", r.Err)
	}
	if r := verifyOne(t, der, VerifyOptions{Digests: map[crypto.Hash][]byte{}}); r.Err == nil {
		t.Error("no digest accepted")
	}
}
