package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// One message to recipients with keys of every kind opens with each of them.
func TestMixedRecipients(t *testing.T) {
	ids := []*identity{newIdentity(t, "rsa2048"), newIdentity(t, "p256"), newIdentity(t, "p256-b"), newIdentity(t, "p384"), newIdentity(t, "p521")}
	x, xCert := newX25519(t)
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	kemCert := issueFor(t, "mlkem768", spki(oidMLKEM768, nil, kem.EncapsulationKey().Bytes()))
	certs := append(certificates(ids...), xCert, kemCert)
	keys := []crypto.PrivateKey{x, kem}
	for i := len(ids) - 1; i >= 0; i-- {
		keys = append([]crypto.PrivateKey{ids[i].key}, keys...)
	}
	for _, c := range []Cipher{AES128CBC, AES256CBC, AES256GCM} {
		for _, ski := range []bool{false, true} {
			o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: certs, Cipher: c, UseSKI: ski})
			if err != nil {
				t.Fatal(err)
			}
			e, err := ParseEnvelopedData(o.Bytes())
			if err != nil || len(e.Recipients) != len(certs) {
				t.Fatalf("%d recipients, %v", len(e.Recipients), err)
			}
			for i, cert := range certs {
				found := 0
				for j, r := range e.Recipients {
					if !r.ID.Matches(cert) {
						continue
					}
					found++
					if got, err := e.Decrypt(j, keys[i], DecryptOptions{}); err != nil || !bytes.Equal(got, content) {
						t.Errorf("%s, ski %v: %q by %s: %v", c, ski, got, r.KeyManagement, err)
					}
				}
				if found != 1 {
					t.Errorf("%s, ski %v: recipient %d found %d times", c, ski, i, found)
				}
			}
			if c == AES256CBC && !ski {
				for _, id := range ids { // the peer skips what it does not know
					certFile, keyFile := id.files(t, t.TempDir())
					if got := openssl(t, withoutKEM(t, ids).Bytes(), "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", certFile, "-inkey", keyFile); !bytes.Equal(got, content) {
						t.Errorf("openssl with %s: %q", id.name, got)
					}
				}
			}
		}
	}
}

func withoutKEM(t *testing.T, ids []*identity) *Object {
	t.Helper()
	o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: certificates(ids...)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The versions of RFC 5652 section 6.1 and RFC 5083 section 2.1.
func TestEnvelopedVersion(t *testing.T) {
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	kemCert := issueFor(t, "mlkem768", spki(oidMLKEM768, nil, kem.EncapsulationKey().Bytes()))
	rsaCert, ecCert := newIdentity(t, "rsa2048").cert, newIdentity(t, "p256").cert
	for _, tc := range []struct {
		r    EncryptRequest
		want int
	}{
		{EncryptRequest{Recipients: []*x509.Certificate{rsaCert}}, 0},
		{EncryptRequest{Recipients: []*x509.Certificate{rsaCert}, UseSKI: true}, 2},
		{EncryptRequest{Recipients: []*x509.Certificate{rsaCert, ecCert}}, 2},
		{EncryptRequest{Recipients: []*x509.Certificate{kemCert, ecCert}}, 3},
		{EncryptRequest{Recipients: []*x509.Certificate{ecCert}, Cipher: AES128GCM}, 0},
	} {
		o, err := Encrypt(tc.r)
		if err != nil {
			t.Fatal(err)
		}
		c := newCursor(o.Bytes())
		c.open(TypeEnveloped, TypeAuthEnveloped)
		c.enter(tagSequence)
		if got := c.small(); got != tc.want || c.err != nil {
			t.Errorf("%d recipients, %s: version %d", len(tc.r.Recipients), tc.r.Cipher, got)
		}
	}
}

// User key material, whether the schemes use it as input or as salt.
func TestUserKeyMaterial(t *testing.T) {
	x, xCert := newX25519(t)
	ec := newIdentity(t, "p256")
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	kemCert := issueFor(t, "mlkem768", spki(oidMLKEM768, nil, kem.EncapsulationKey().Bytes()))
	for _, tc := range []struct {
		cert *x509.Certificate
		key  crypto.PrivateKey
	}{{xCert, x}, {ec.cert, ec.key}, {kemCert, kem}} {
		for _, ukm := range [][]byte{{}, []byte("user key material")} {
			e := sealed(t, &identity{cert: tc.cert}, EncryptRequest{Content: [][]byte{content}, Cipher: AES256GCM})
			r := &e.Recipients[0]
			plainKEK := rewrap(t, r, tc.key, nil, ukm)
			if bytes.Equal(plainKEK, nil) {
				t.Fatal("no content key")
			}
			if got, err := e.Decrypt(0, tc.key, DecryptOptions{}); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s with %q: %q, %v", r.KeyManagement, ukm, got, err)
			}
			r.ukm = nil
			if _, err := e.Decrypt(0, tc.key, DecryptOptions{}); err != ErrDecrypt {
				t.Errorf("%s without %q: %v", r.KeyManagement, ukm, err)
			}
		}
	}
}

// rewrap opens the content key with one user key material, and wraps it again
// with another, as the sender would have.
func rewrap(t *testing.T, r *RecipientInfo, key crypto.PrivateKey, from, to []byte) []byte {
	t.Helper()
	r.ukm = from
	content, err := r.contentKey(key, 32, DecryptOptions{})
	if err != nil || content == nil {
		t.Fatal(err)
	}
	r.ukm = to
	var kek []byte
	if r.kind == kemKind {
		secret, _ := key.(crypto.Decapsulator).Decapsulate(r.ciphertext)
		kek, err = kdf{crypto.SHA256, true}.derive(secret, nil, kemInfo(r.rawWrap, to, 32), 32)
	} else {
		secret, _ := agree(key, r.originator, r.point)
		k, _ := kdfOf(r.alg.oid)
		kek, err = k.derive(secret, to, sharedInfo(r.rawWrap, to, 32), 32)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r.encrypted, err = wrapKey(kek, content); err != nil {
		t.Fatal(err)
	}
	return content
}

// A hardKey is none of the standard library's types.
type hardKey struct{ ecdh.KeyExchanger }

// A mute key has no curve.
type mute struct{ hardKey }

func (mute) Curve() ecdh.Curve { return nil }

func TestHardwareAgreement(t *testing.T) {
	id := newIdentity(t, "p384")
	soft, err := id.key.(*ecdsa.PrivateKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES192GCM})
	for _, key := range []crypto.PrivateKey{id.key, soft, hardKey{soft}} {
		if got, err := e.Decrypt(0, key, DecryptOptions{}); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%T: %q, %v", key, got, err)
		}
	}
	if _, err := e.Decrypt(0, mute{}, DecryptOptions{}); !errors.Is(err, ErrKey) {
		t.Errorf("mute key: %v", err)
	}
}

// A hostile or broken recipient info names what can not be used, and is not
// tried.
func TestUnsupportedRecipients(t *testing.T) {
	id := newIdentity(t, "p256")
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	kemCert := issueFor(t, "mlkem768", spki(oidMLKEM768, nil, kem.EncapsulationKey().Bytes()))
	object := func(cert *x509.Certificate) []byte {
		o, err := Encrypt(EncryptRequest{Recipients: []*x509.Certificate{cert}})
		if err != nil {
			t.Fatal(err)
		}
		return o.Bytes()
	}
	for _, tc := range []struct {
		name     string
		cert     *x509.Certificate
		old, new string
		want     string
	}{
		{"agreement", id.cert, oidDHSHA256, "\x2b\x81\x04\x01\x0b\x09", "key agreement algorithm"},
		{"wrap", id.cert, oidWrapAES256, "\x60\x86\x48\x01\x65\x03\x04\x01\x2f", "key wrap algorithm"},
		{"unknown kem", kemCert, oidMLKEM768, "\x60\x86\x48\x01\x65\x03\x04\x04\x09", "key encapsulation mechanism"},
		{"kdf", kemCert, oidHKDFSHA256, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x09", "key derivation 1.2.840.113549.1.9.16.3.9"},
		{"kem wrap", kemCert, oidWrapAES256, oidWrapAES128[:8] + "\x05", "key wrap algorithm"},
		{"other", kemCert, oidKEMRecipientInfo, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x0d\x09", "other recipient info"},
		{"transport", newIdentity(t, "rsa2048").cert, "\x30\x0d\x06\x09" + oidRSA + "\x05\x00\x04\x82", "\x30\x0d\x06\x09" + oidPSS + "\x05\x00\x04\x82", "key transport algorithm"},
	} {
		der := object(tc.cert)
		if bytes.Count(der, []byte(tc.old)) == 0 || len(tc.old) != len(tc.new) {
			t.Fatalf("%s: nothing to replace", tc.name)
		}
		e, err := ParseEnvelopedData(bytes.ReplaceAll(der, []byte(tc.old), []byte(tc.new)))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := e.Recipients[0].Unsupported; got != tc.want {
			t.Errorf("%s: %q", tc.name, got)
		}
		if _, err := e.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	for name, info := range map[string]string{"shared key": "\xa2\x00", "password": "\xa3\x00", "other recipient info": "\xa4\x05\x06\x01\x2a\x05\x00"} {
		e, err := ParseEnvelopedData(rawEnveloped([]byte(info), []byte{0x80, 0}))
		if err != nil || e.Recipients[0].Unsupported != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	static := "\xa1\x80\x02\x01\x03\xa0\x80\x80\x01\x00\x00\x00\x30\x80\x06\x06" + oidDHSHA256 + "\x30\x0b\x06\x09" + oidWrapAES128 +
		"\x00\x00\x30\x80\x30\x80\xa0\x80\x04\x01\x07\x05\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00"
	e, err := ParseEnvelopedData(rawEnveloped([]byte(static), []byte{0x80, 0}))
	if err != nil || e.Recipients[0].Unsupported != "static key agreement" || string(e.Recipients[0].ID.SubjectKeyID) != "\x07" {
		t.Errorf("static: %+v, %v", e, err)
	}
}

// authEnveloped makes AuthEnvelopedData with attributes: what we do not write,
// and must read. attrs is the element under its [1] tag, aad what is
// authenticated.
func authEnveloped(t *testing.T, id *identity, contentType string, attrs, aad []byte, tagLen int) []byte {
	t.Helper()
	e := encrypter{request: &EncryptRequest{}, spec: AES256GCM.spec(), key: make([]byte, 32), ephemeral: make(map[ecdh.Curve]*ecdh.PrivateKey)}
	rand.Read(e.key)
	var infos builder
	if err := e.recipient(&infos, id.cert); err != nil {
		t.Fatal(err)
	}
	aead, err := e.spec.newAEAD(e.key, nonceSize, tagLen)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, nonceSize)
	out := aead.Seal(nil, nonce, content, aad)
	var b builder
	outer := b.open(tagSequence)
	b.oid(oidAuthEnvelopedData)
	explicit := b.open(tagContext0)
	m := b.open(tagSequence)
	b.int(0)
	b.tlv(tagSet, infos)
	info := b.open(tagSequence)
	b.oid(contentType)
	b.algorithm(oidAES256GCM, built(func(b *builder) {
		m := b.open(tagSequence)
		b.tlv(tagOctetString, nonce)
		if tagLen != 12 {
			b.int(tagLen)
		}
		b.close(m)
	}))
	b.tlv(tagContext, out[:len(content)])
	b.close(info)
	b.raw(attrs)
	b.tlv(tagOctetString, out[len(content):])
	b.tlv(tagContext0+2, nil) // unauthenticated attributes
	b.close(m)
	b.close(explicit)
	b.close(outer)
	return b
}

func TestAuthenticatedAttributes(t *testing.T) {
	id := newIdentity(t, "p256")
	set := sortedSet(tagSet, [][]byte{typeAttribute(oidSignedData), attribute("\x2a\x03\x04", []byte{tagNull, 0})})
	tagged := append([]byte{tagContext0 + 1}, set[1:]...)
	indefinite := append(append([]byte{tagContext0 + 1, 0x80}, set[2:]...), 0, 0)
	other := sortedSet(tagSet, [][]byte{typeAttribute(oidData)})
	nameless := sortedSet(tagSet, [][]byte{attribute("\x2a\x03\x04", []byte{tagNull, 0})})
	for _, tc := range []struct {
		name       string
		typ        string
		attrs, aad []byte
		tagLen     int
		want       error
	}{
		{"none", oidData, nil, nil, 16, nil},
		{"short tag", oidData, nil, nil, 12, nil},
		{"tag of 13", oidData, nil, nil, 13, nil},
		{"der", oidSignedData, tagged, set, 16, nil},
		{"ber", oidSignedData, indefinite, set, 16, nil},
		{"ber as it came", oidSignedData, indefinite, append([]byte{tagSet}, indefinite[1:]...), 16, nil},
		{"other than authenticated", oidSignedData, tagged, other, 16, ErrDecrypt},
		{"left out", oidData, nil, set, 16, ErrDecrypt},
		{"content type not data and not named", oidSignedData, nil, nil, 16, ErrMalformed},
		{"attributes without content type", oidSignedData, append([]byte{tagContext0 + 1}, nameless[1:]...), nameless, 16, ErrMalformed},
		{"attributes without content type for data", oidData, append([]byte{tagContext0 + 1}, nameless[1:]...), nameless, 16, nil},
		{"content type of another", oidSignedData, append([]byte{tagContext0 + 1}, other[1:]...), other, 16, ErrMalformed},
		{"attributes are nonsense", oidData, []byte{tagContext0 + 1, 2, 5, 0}, []byte{tagSet, 2, 5, 0}, 16, ErrAttributes},
		{"attributes are cut", oidData, []byte{tagContext0 + 1, 2, 5, 1}, nil, 16, ErrAttributes},
	} {
		e, err := ParseEnvelopedData(authEnveloped(t, id, tc.typ, tc.attrs, tc.aad, tc.tagLen))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for _, inPlace := range []bool{false, true} {
			got, err := e.Decrypt(0, id.key, DecryptOptions{InPlace: inPlace})
			if !errors.Is(err, tc.want) || err == nil && !bytes.Equal(got, content) {
				t.Errorf("%s, in place %v: %q, %v", tc.name, inPlace, got, err)
			}
			if err == nil && inPlace && &got[0] != &e.content.src[0] && tc.name != "ber as it came" {
				t.Errorf("%s: not in place", tc.name)
			}
		}
	}
}

// Nonces and tags that the message states openly.
func TestAEADParameters(t *testing.T) {
	id := newIdentity(t, "p256")
	gcm := func(nonce int, tag ...byte) []byte {
		return built(func(b *builder) {
			m := b.open(tagSequence)
			b.tlv(tagOctetString, make([]byte, nonce))
			b.raw(tag)
			b.close(m)
		})
	}
	chacha := func(n int) []byte { return built(func(b *builder) { b.tlv(tagOctetString, make([]byte, n)) }) }
	for _, tc := range []struct {
		name   string
		cipher Cipher
		params []byte
		mac    int
		want   error
	}{
		{"usual", AES256GCM, gcm(12, 2, 1, 16), 16, ErrDecrypt},
		{"nonce of 8", AES256GCM, gcm(8, 2, 1, 16), 16, ErrDecrypt},
		{"default tag", AES256GCM, gcm(12), 12, ErrDecrypt},
		{"default tag, another mac", AES256GCM, gcm(12), 16, ErrMalformed},
		{"tag of 4", AES256GCM, gcm(12, 2, 1, 4), 4, ErrMalformed},
		{"tag of 17", AES256GCM, gcm(12, 2, 1, 17), 17, ErrMalformed},
		{"no mac", AES256GCM, gcm(12, 2, 1, 16), 0, ErrMalformed},
		{"no nonce", AES256GCM, gcm(0, 2, 1, 16), 16, ErrUnsupported},
		{"long nonce", AES256GCM, gcm(65, 2, 1, 16), 16, ErrUnsupported},
		{"strange nonce and tag", AES256GCM, gcm(8, 2, 1, 12), 12, ErrUnsupported},
		{"no parameters", AES256GCM, nil, 16, ErrMalformed},
		{"chacha", ChaCha20Poly1305, chacha(12), 16, ErrDecrypt},
		{"chacha with a nonce of 24", ChaCha20Poly1305, chacha(24), 16, ErrUnsupported},
		{"chacha with a tag of 12", ChaCha20Poly1305, chacha(12), 12, ErrMalformed},
		{"chacha with gcm's parameters", ChaCha20Poly1305, gcm(12), 16, ErrMalformed},
		{"cbc with an iv of 8", AES256CBC, chacha(8), 0, ErrDecrypt},
		{"cbc without iv", AES256CBC, nil, 0, ErrMalformed},
	} {
		e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: tc.cipher})
		e.alg.params, e.mac = tc.params, make([]byte, tc.mac)
		if _, err := e.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// Our own use of a hardware RSA key: options must be those of the standard
// library.
func TestOAEPLabelAndDigests(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	params := func(hash, mgf crypto.Hash, label []byte) []byte {
		return built(func(b *builder) {
			m := b.open(tagSequence)
			h := b.open(tagContext0)
			b.algorithm(pkix.DigestOID(hash), null())
			b.close(h)
			g := b.open(tagContext0 + 1)
			b.algorithm(oidMGF1, built(func(b *builder) { b.algorithm(pkix.DigestOID(mgf), nil) }))
			b.close(g)
			if label != nil {
				p := b.open(tagContext0 + 2)
				b.algorithm(oidPSpecified, built(func(b *builder) { b.tlv(tagOctetString, label) }))
				b.close(p)
			}
			b.close(m)
		})
	}
	for _, tc := range []struct {
		hash, mgf crypto.Hash
		label     []byte
	}{{crypto.SHA256, crypto.SHA1, nil}, {crypto.SHA512, crypto.SHA256, []byte("label")}, {crypto.SHA1, crypto.SHA1, []byte{}}} {
		e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES256GCM, KeyTransport: OAEP})
		r := &e.Recipients[0]
		key, err := r.contentKey(id.key, 32, DecryptOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r.alg.params = params(tc.hash, tc.mgf, tc.label)
		o := &rsa.OAEPOptions{Hash: tc.hash, MGFHash: tc.mgf, Label: tc.label}
		if r.encrypted, err = rsa.EncryptOAEPWithOptions(rand.Reader, id.key.Public().(*rsa.PublicKey), key, o); err != nil {
			t.Fatal(err)
		}
		if got, err := e.Decrypt(0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%v, %v, %q: %q, %v", tc.hash, tc.mgf, tc.label, got, err)
		}
	}
	for name, tc := range map[string]struct {
		params []byte
		want   error
	}{
		"none":           {nil, ErrMalformed},
		"md5":            {params(crypto.MD5, crypto.SHA1, nil), ErrUnsupported},
		"mgf md5":        {params(crypto.SHA256, crypto.MD5, nil), ErrUnsupported},
		"not a sequence": {[]byte{tagNull, 0}, ErrMalformed},
		"label source":   {bytes.Replace(params(crypto.SHA1, crypto.SHA1, []byte{1}), []byte(oidPSpecified), []byte(oidMGF1), 1), ErrUnsupported},
		"unknown digest": {bytes.Replace(params(crypto.SHA256, crypto.SHA1, nil), []byte(oidSHA256), []byte("\x60\x86\x48\x01\x65\x03\x04\x02\x09"), 1), ErrUnsupported},
	} {
		e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES256GCM, KeyTransport: OAEP})
		e.Recipients[0].alg.params = tc.params
		if _, err := e.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
