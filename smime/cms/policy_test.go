package cms

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// SHA-1 and short keys are refused unless the caller allows them, and are then
// named; MD5 is always refused.
func TestWeakSignatures(t *testing.T) {
	id, short := newIdentity(t, "p256"), newIdentity(t, "rsa1024")
	algorithmOf := func(oid string) []byte { var b builder; b.algorithm(oid, nil); return b }
	sha1Attrs := [][]byte{typeAttribute(oidData), digestAttribute(sum(crypto.SHA1, content))}
	for _, tc := range []struct {
		name, digest string
		info         forgedInfo
		strict, lax  error
		weak         string
	}{
		{"sha-1", oidSHA1, forgedInfo{id: id, attrs: sha1Attrs, digest: oidSHA1, hash: crypto.SHA1, signature: algorithmOf(oidECDSASHA1)}, ErrWeak, nil, "sha-1"},
		{"md5", oidMD5, forgedInfo{id: id, attrs: sha1Attrs, digest: oidMD5, signature: algorithmOf(oidECPublicKey)}, ErrWeak, ErrWeak, ""},
		{"short key", oidSHA256, forgedInfo{id: short, attrs: goodAttributes(content), signature: algorithmOf(oidSHA256RSA)}, ErrWeak, nil, "RSA key below 2048 bits"},
		{"unknown digest", "\x2a\x03", forgedInfo{id: id, attrs: sha1Attrs, digest: "\x2a\x03"}, ErrUnsupported, ErrUnsupported, ""},
		{"unknown signature", oidSHA256, forgedInfo{id: id, attrs: goodAttributes(content), signature: algorithmOf("\x2a\x03")}, ErrUnsupported, ErrUnsupported, ""},
		{"signature with another digest", oidSHA256, forgedInfo{id: id, attrs: goodAttributes(content), signature: algorithmOf(oidECDSASHA512)}, ErrMalformed, ErrMalformed, ""},
		{"signature of another kind", oidSHA256, forgedInfo{id: id, attrs: goodAttributes(content), signature: algorithmOf(oidSHA256RSA)}, ErrSignature, ErrSignature, ""},
		{"ed25519 by another key", oidSHA512, forgedInfo{id: id, attrs: goodAttributes(content), digest: oidSHA512, signature: algorithmOf(oidEd25519)}, ErrDigest, ErrDigest, ""},
		{"digest not listed", oidSHA512, forgedInfo{id: id, attrs: goodAttributes(content)}, ErrMalformed, ErrMalformed, ""},
		{"wrong signature", oidSHA256, forgedInfo{id: id, attrs: goodAttributes(content), value: []byte{1}}, ErrSignature, ErrSignature, ""},
		{"empty signature", oidSHA256, forgedInfo{id: id, attrs: goodAttributes(content), value: []byte{}}, ErrSignature, ErrSignature, ""},
	} {
		der := forgery{content: content, digests: []string{tc.digest}, certs: certificates(tc.info.id), infos: [][]byte{tc.info.der(t)}}.der()
		if r := verifyOne(t, der, VerifyOptions{}); !errors.Is(r.Err, tc.strict) {
			t.Errorf("%s: %v", tc.name, r.Err)
		}
		if r := verifyOne(t, der, VerifyOptions{AllowWeak: true}); !errors.Is(r.Err, tc.lax) || r.Weak != tc.weak {
			t.Errorf("%s, weak allowed: %v, %q", tc.name, r.Err, r.Weak)
		}
	}
}

func TestSeveralSigners(t *testing.T) {
	ids := []*identity{newIdentity(t, "rsa2048"), newIdentity(t, "p256"), newIdentity(t, "ed25519"), newIdentity(t, "p384")}
	r := SignRequest{Content: [][]byte{content}}
	for _, id := range ids {
		r.Signers = append(r.Signers, Signer{Certificate: id.cert, Key: id.key})
	}
	o, err := Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSignedData(o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Digests()) != 3 {
		t.Errorf("digests %v", s.Digests())
	}
	digests := make(map[crypto.Hash][]byte)
	for _, h := range s.Digests() {
		digests[h] = sum(h, content)
	}
	for _, o := range []VerifyOptions{{}, {Digests: digests}} {
		for i, r := range s.Verify(o) {
			if r.Err != nil || r.Certificate == nil {
				t.Errorf("signer %d: %v", i, r.Err)
			}
		}
	}
	// One bad signature does not spoil the others, nor they it.
	s.signers[1].value[10] ^= 1
	for i, r := range s.Verify(VerifyOptions{}) {
		if (r.Err != nil) != (i == 1) {
			t.Errorf("signer %d: %v", i, r.Err)
		}
	}
	delete(digests, crypto.SHA512)
	failed := 0
	for _, r := range s.Verify(VerifyOptions{Digests: digests}) {
		if errors.Is(r.Err, ErrUnsupported) {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d signers miss their digest", failed)
	}
}

// Certificates with the same subject key identifier are all tried; one that is
// missing may come from elsewhere; one that can not be read is skipped.
func TestSignerCertificates(t *testing.T) {
	id, other := newIdentity(t, "p256"), newIdentity(t, "p256-c")
	twin := *other.cert
	twin.SubjectKeyId = id.cert.SubjectKeyId
	o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: id.cert, Key: id.key, UseSKI: true}}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSignedData(o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	s.Certificates = []*x509.Certificate{&twin, id.cert}
	if r := s.Verify(VerifyOptions{})[0]; r.Err != nil || !r.Certificate.Equal(id.cert) {
		t.Errorf("with a twin: %v", r.Err)
	}
	s.Certificates = []*x509.Certificate{other.cert}
	if r := s.Verify(VerifyOptions{})[0]; !errors.Is(r.Err, ErrNoCertificate) || r.Certificate != nil {
		t.Errorf("without: %v", r.Err)
	}
	if r := s.Verify(VerifyOptions{Certificates: certificates(id)})[0]; r.Err != nil {
		t.Errorf("from elsewhere: %v", r.Err)
	}
	info := forgedInfo{id: id, attrs: goodAttributes(content)}.der(t)
	s, err = ParseSignedData(rawSigned(builder("\x04\x00"), append([]byte("\x30\x03\x02\x01\x05"), id.cert.Raw...), info))
	if err != nil || len(s.Certificates) != 1 || len(s.Skipped) != 1 {
		t.Errorf("with a strange certificate: %v", err)
	}
}

func TestCertsOnly(t *testing.T) {
	ids := certificates(newIdentity(t, "p256"), newIdentity(t, "rsa2048"))
	crl := []byte{0x30, 0}
	s, err := ParseSignedData(CertsOnly(ids, [][]byte{crl}).Bytes())
	if err != nil || len(s.Certificates) != 2 || len(s.CRLs) != 1 || s.Signers() != 0 || s.Content != nil {
		t.Errorf("%+v, %v", s, err)
	}
	if r := s.Verify(VerifyOptions{}); len(r) != 0 {
		t.Errorf("results %v", r)
	}
}

func TestSignRefuses(t *testing.T) {
	id, short, rsaID := newIdentity(t, "p256"), newIdentity(t, "rsa1024"), newIdentity(t, "rsa2048")
	noSKI := *id.cert
	noSKI.SubjectKeyId = nil
	for name, tc := range map[string]struct {
		s    Signer
		want error
	}{
		"no key":            {Signer{Certificate: id.cert}, ErrKey},
		"no certificate":    {Signer{Key: id.key}, ErrKey},
		"foreign key":       {Signer{Certificate: id.cert, Key: newIdentity(t, "p256-b").key}, ErrKey},
		"short key":         {Signer{Certificate: short.cert, Key: short.key}, ErrWeak},
		"sha-1":             {Signer{Certificate: rsaID.cert, Key: rsaID.key, Digest: crypto.SHA1}, ErrWeak},
		"no ski":            {Signer{Certificate: &noSKI, Key: id.key, UseSKI: true}, ErrUnsupported},
		"ed25519 with 256":  {Signer{Certificate: newIdentity(t, "ed25519").cert, Key: newIdentity(t, "ed25519").key, Digest: crypto.SHA256}, ErrUnsupported},
		"unsupported curve": {Signer{Certificate: newIdentity(t, "p224").cert, Key: newIdentity(t, "p224").key}, ErrWeak},
	} {
		if _, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{tc.s}}); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := Signer{Certificate: id.cert, Key: id.key}
	if _, err := Sign(SignRequest{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("no recipient: %v", err)
	}
	if _, err := Sign(SignRequest{Detached: true, Digests: map[crypto.Hash][]byte{}, Signers: []Signer{good}}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("no digest: %v", err)
	}
}

// A detached signature over a digest is the one over the content.
func TestSignDigest(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	o, err := Sign(SignRequest{Detached: true, Digests: map[crypto.Hash][]byte{crypto.SHA256: sum(crypto.SHA256, content)},
		Signers: []Signer{{Certificate: id.cert, Key: id.key}}})
	if err != nil {
		t.Fatal(err)
	}
	if r := verifyOne(t, o.Bytes(), VerifyOptions{Content: [][]byte{content}}); r.Err != nil {
		t.Error(r.Err)
	}
}

func TestEncryptRefuses(t *testing.T) {
	id, rsaID := newIdentity(t, "p256"), newIdentity(t, "rsa2048")
	noSKI := *id.cert
	noSKI.SubjectKeyId = nil
	for name, tc := range map[string]struct {
		r    EncryptRequest
		want error
	}{
		"3des":            {EncryptRequest{Cipher: TripleDES, Recipients: certificates(id)}, ErrUnsupported},
		"rc2":             {EncryptRequest{Cipher: RC2, Recipients: certificates(id)}, ErrUnsupported},
		"unknown cipher":  {EncryptRequest{Cipher: "aes", Recipients: certificates(id)}, ErrUnsupported},
		"short key":       {EncryptRequest{Recipients: certificates(id, newIdentity(t, "rsa1024"))}, ErrWeak},
		"signing key":     {EncryptRequest{Recipients: certificates(newIdentity(t, "ed25519"))}, ErrUnsupported},
		"other curve":     {EncryptRequest{Recipients: certificates(newIdentity(t, "p224"))}, ErrWeak},
		"no ski":          {EncryptRequest{UseSKI: true, Recipients: []*x509.Certificate{&noSKI}}, ErrUnsupported},
		"transport":       {EncryptRequest{KeyTransport: "kem", Recipients: certificates(rsaID)}, ErrUnsupported},
		"oaep with md5":   {EncryptRequest{KeyTransport: OAEP, OAEPHash: crypto.MD5, Recipients: certificates(rsaID)}, ErrUnsupported},
		"key of no kind":  {EncryptRequest{Recipients: []*x509.Certificate{issueFor(t, "x448", spki("\x2b\x65\x6f", nil, make([]byte, 56)))}}, ErrUnsupported},
		"ml-kem, short":   {EncryptRequest{Recipients: []*x509.Certificate{issueFor(t, "kem512", spki(oidMLKEM512, nil, make([]byte, 799)))}}, ErrUnsupported},
		"x25519 too long": {EncryptRequest{Recipients: []*x509.Certificate{issueFor(t, "x", spki(oidX25519, nil, make([]byte, 33)))}}, ErrUnsupported},
		"x25519 of zero":  {EncryptRequest{Recipients: []*x509.Certificate{issueFor(t, "x", spki(oidX25519, nil, make([]byte, 32)))}}, ErrWeak},
	} {
		if _, err := Encrypt(tc.r); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckKey(t *testing.T) {
	modulus := func(bits int) *big.Int { return new(big.Int).SetBit(big.NewInt(1), bits-1, 1) }
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// Where an int has 32 bits, no key has a wider exponent.
	wide := 65537
	if strconv.IntSize == 64 {
		wide = wide<<16 + 1
	}
	for _, tc := range []struct {
		name string
		key  crypto.PublicKey
		want error
	}{
		{"2048", &rsa.PublicKey{N: modulus(2048), E: 65537}, nil},
		{"8192", &rsa.PublicKey{N: modulus(8192), E: 3}, nil},
		{"2047", &rsa.PublicKey{N: modulus(2047), E: 65537}, ErrWeak},
		{"8193", &rsa.PublicKey{N: modulus(8193), E: 65537}, ErrUnsupported},
		{"262144", &rsa.PublicKey{N: modulus(262144), E: 65537}, ErrUnsupported},
		{"exponent 1", &rsa.PublicKey{N: modulus(2048), E: 1}, ErrWeak},
		{"exponent 4", &rsa.PublicKey{N: modulus(2048), E: 4}, ErrWeak},
		{"exponent of 33 bits", &rsa.PublicKey{N: modulus(2048), E: wide}, nil},
		{"p-224", &p224.PublicKey, ErrWeak},
		{"nothing", nil, ErrUnsupported},
		{"p-256", newIdentity(t, "p256").key.Public(), nil},
	} {
		if err := checkKey(tc.key, pkix.MinRSA); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// A key restricted to PSS verifies and makes PSS only, with the parameters that its
// certificate allows.
func TestPSSKey(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	key := x509.MarshalPKCS1PublicKey(id.key.Public().(*rsa.PublicKey))
	for name, tc := range map[string]struct {
		params []byte
		want   error
	}{
		"any":     {nil, nil},
		"same":    {pssParams(crypto.SHA256), nil},
		"another": {pssParams(crypto.SHA512), ErrSignature},
	} {
		cert := issueFor(t, "pss", spki(oidPSS, tc.params, key))
		if pub, err := PublicKey(cert); err != nil || !id.key.Public().(*rsa.PublicKey).Equal(pub) {
			t.Fatalf("public key: %v", err)
		}
		o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: cert, Key: id.key}}})
		if err != nil {
			t.Fatal(err)
		}
		if r := verifyOne(t, o.Bytes(), VerifyOptions{}); r.Err != nil || r.Signature != "rsa-pss" {
			t.Errorf("%s: %v, %s", name, r.Err, r.Signature)
		}
		other := forgedInfo{id: &identity{key: id.key, cert: cert}, attrs: goodAttributes(content)}
		var b builder
		b.algorithm(oidPSS, pssParams(crypto.SHA256))
		other.signature = b
		other.value, err = id.key.Sign(rand.Reader, sum(crypto.SHA256, other.set()), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		if r := verifyOne(t, forgery{content: content, certs: []*x509.Certificate{cert}, infos: [][]byte{other.der(t)}}.der(), VerifyOptions{}); !errors.Is(r.Err, tc.want) {
			t.Errorf("%s: with SHA-256: %v", name, r.Err)
		}
		_, err = Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: cert, Key: id.key, Digest: crypto.SHA256}}})
		if (err == nil) != (tc.want == nil) {
			t.Errorf("%s: signing with SHA-256: %v", name, err)
		}
		pkcs1 := forgedInfo{id: &identity{key: id.key, cert: cert}, attrs: goodAttributes(content), signature: []byte("\x30\x0d\x06\x09" + oidRSA + "\x05\x00")}
		if r := verifyOne(t, forgery{content: content, certs: []*x509.Certificate{cert}, infos: [][]byte{pkcs1.der(t)}}.der(), VerifyOptions{}); !errors.Is(r.Err, ErrSignature) {
			t.Errorf("%s: PKCS #1 v1.5 by a PSS key: %v", name, r.Err)
		}
		if _, err := Encrypt(EncryptRequest{Recipients: []*x509.Certificate{cert}}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: encrypted to a PSS key: %v", name, err)
		}
	}
}

// A message can not be moved from one kind of encryption to the other.
func TestCipherInTheWrongPlace(t *testing.T) {
	id := newIdentity(t, "p256")
	gcm := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES256GCM})
	gcm.Type = TypeEnveloped
	if _, err := gcm.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("GCM in EnvelopedData: %v", err)
	}
	cbc := sealed(t, id, EncryptRequest{Content: [][]byte{content}})
	cbc.Type = TypeAuthEnveloped
	if _, err := cbc.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("CBC in AuthEnvelopedData: %v", err)
	}
}

func TestWeakCiphers(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, alg := range []algorithm{
		{oid: []byte(oidDES3CBC), params: []byte("\x04\x0812345678")},
		{oid: []byte(oidRC2CBC), params: []byte("\x30\x0d\x02\x01\x3a\x04\x0812345678")},
	} {
		e := sealed(t, id, EncryptRequest{Content: [][]byte{content}})
		e.alg = alg
		if _, err := e.Decrypt(0, id.key, DecryptOptions{}); !errors.Is(err, ErrWeak) {
			t.Errorf("%v: %v", alg, err)
		}
		// nonsense has a good padding once in 256 times
		if got, err := e.Decrypt(0, id.key, DecryptOptions{AllowWeak: true}); err != nil && err != ErrDecrypt || bytes.Equal(got, content) {
			t.Errorf("%v, allowed: %v", alg, err)
		}
	}
}

// compressed returns CompressedData.
func compressed(t testing.TB, plain []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(plain)
	w.Close()
	var b builder
	b.tlv(tagOctetString, z.Bytes())
	return rawCompressed(b)
}

func TestDecompress(t *testing.T) {
	mb := make([]byte, 1<<20)
	bomb := compressed(t, make([]byte, 20<<20))
	for _, tc := range []struct {
		name string
		der  []byte
		l    Limits
		size int
		want error
	}{
		{"text", compressed(t, content), Limits{}, len(content), nil},
		{"empty", compressed(t, nil), Limits{}, 0, nil},
		{"a megabyte of zeros", compressed(t, mb), Limits{}, len(mb), nil},
		{"at the limit", compressed(t, mb), Limits{MaxSize: int64(len(mb))}, len(mb), nil},
		{"over the limit", compressed(t, mb), Limits{MaxSize: int64(len(mb) - 1)}, 0, ErrTooBig},
		{"bomb", bomb, Limits{}, 0, ErrTooBig},
		{"ratio", compressed(t, make([]byte, 3<<20)), Limits{MaxRatio: 10}, 0, ErrTooBig},
		{"no zlib", rawCompressed([]byte("\x04\x04abcd")), Limits{}, 0, ErrMalformed},
		{"cut", rawCompressed([]byte("\x04\x02\x78\x9c")), Limits{}, 0, ErrMalformed},
	} {
		typ, got, err := Decompress(tc.der, tc.l)
		if !errors.Is(err, tc.want) || len(got) != tc.size || err == nil && typ != TypeData {
			t.Errorf("%s: %s, %d octets, %v", tc.name, typ, len(got), err)
		}
	}
}

// Nothing is shared between calls: run with -race.
func TestConcurrently(t *testing.T) {
	id := newIdentity(t, "p256")
	var wg sync.WaitGroup
	for _, c := range permitted(AES128CBC, AES256CBC, AES128GCM, AES256GCM, ChaCha20Poly1305) {
		for range 4 {
			wg.Go(func() {
				e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: c})
				if got, err := e.Decrypt(0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(got, content) || e.Cipher != c {
					t.Errorf("%s: %s, %v", c, e.Cipher, err)
				}
			})
		}
	}
	wg.Wait()
}

func TestErrorsNameTheirKind(t *testing.T) {
	for _, err := range []error{ErrMalformed, ErrTooBig, ErrUnsupported, ErrWeak, ErrKey, ErrDecrypt, ErrDevice, ErrSignature, ErrDigest, ErrAttributes, ErrNoCertificate} {
		if !strings.HasPrefix(err.Error(), "cms: ") {
			t.Error(err)
		}
	}
}
