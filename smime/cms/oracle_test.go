package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"testing"
)

// sealed returns an object for the identity, parsed.
func sealed(t testing.TB, id *identity, r EncryptRequest) *EnvelopedData {
	t.Helper()
	r.Recipients = []*x509.Certificate{id.cert}
	o, err := Encrypt(r)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ParseEnvelopedData(o.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// setCiphertext replaces the ciphertext of a parsed object.
func (e *EnvelopedData) setCiphertext(b []byte) {
	e.content = &Content{src: b, size: len(b)}
	e.ber = b
}

// Whatever is wrong with ciphertext or padding, the answer is one error, with
// every cipher, and memory outside the buffers stays as it was.
func TestBadCiphertext(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, cipher := range permitted(AES128CBC, AES256CBC, AES128GCM, AES256GCM, ChaCha20Poly1305) {
		for n := range 70 {
			for _, inPlace := range []bool{false, true} {
				e := sealed(t, id, EncryptRequest{Content: [][]byte{make([]byte, 48)}, Cipher: cipher})
				if n == e.content.size {
					continue
				}
				e.setCiphertext(append([]byte(nil), append(e.content.Bytes(), make([]byte, 70)...)[:n]...))
				got, err := e.Decrypt(0, id.key, DecryptOptions{InPlace: inPlace})
				if cipher.Authenticated() || n%16 != 0 || n == 0 {
					if err != ErrDecrypt || got != nil {
						t.Errorf("%s, %d octets: %q, %v", cipher, n, got, err)
					}
				} else if err != nil && err != ErrDecrypt {
					t.Errorf("%s, %d octets: %v", cipher, n, err)
				}
			}
		}
	}
}

// paddings are the last octets of a plaintext, and whether they are a padding.
func TestPadding(t *testing.T) {
	block := func(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }
	for _, tc := range []struct {
		name string
		last []byte
		n    int // 0: bad
	}{
		{"one", append(block(15, 9), 1), 1},
		{"five", append(block(11, 9), block(5, 5)...), 5},
		{"a whole block", block(16, 16), 16},
		{"zero", block(16, 0), 0},
		{"more than a block", block(16, 17), 0},
		{"255", block(16, 255), 0},
		{"first octet wrong", append([]byte{1}, block(15, 16)...), 0},
		{"middle octet wrong", append(block(13, 9), 3, 9, 3), 0},
		{"last but one wrong", append(block(14, 9), 9, 2), 0},
		{"of a shorter block", block(8, 8), 8},
		{"longer than a shorter block", block(8, 9), 0},
	} {
		n, good := padding(tc.last)
		if good == 1 && n != tc.n || (good == 1) != (tc.n > 0) {
			t.Errorf("%s: %d, %d", tc.name, n, good)
		}
	}
}

// The same through Decrypt: a block in front of the last one is changed
// so that the padding decrypts to the value wanted.
func TestBadPaddingIsOneError(t *testing.T) {
	id := newIdentity(t, "p256")
	for pad := range 256 {
		e := sealed(t, id, EncryptRequest{Content: [][]byte{make([]byte, 32)}})
		b := e.content.Bytes() // the last block is 16 octets of 16
		b[31] ^= 16 ^ byte(pad)
		got, err := e.Decrypt(0, id.key, DecryptOptions{})
		switch {
		case pad == 1 || pad == 16:
			if err != nil || len(got) != 48-pad {
				t.Errorf("pad %d: %d octets, %v", pad, len(got), err)
			}
		case err != ErrDecrypt:
			t.Errorf("pad %d: %v", pad, err)
		}
	}
}

// Encrypted keys as in Bleichenbacher's attack: each is answered as any other
// and takes the way through the content.
func TestBadEncryptedKeyIsOneError(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	pub := id.key.Public().(*rsa.PublicKey)
	pkcs1 := func(b []byte) []byte {
		// What is attacked.
		c, err := rsa.EncryptPKCS1v15(rand.Reader, pub, b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	raw := func(b []byte) []byte { // textbook RSA of a chosen block
		c := new(big.Int).Exp(new(big.Int).SetBytes(b), big.NewInt(int64(pub.E)), pub.N)
		return c.FillBytes(make([]byte, 256))
	}
	block := func(head ...byte) []byte {
		b := bytes.Repeat([]byte{0x55}, 256)
		copy(b, head)
		return b
	}
	for name, encrypted := range map[string][]byte{
		"empty": nil, "one octet": {1}, "zero": make([]byte, 256), "ones": bytes.Repeat([]byte{0xff}, 256),
		"one octet short": make([]byte, 255), "one octet long": make([]byte, 257), "very long": make([]byte, 100_000),
		"empty key": pkcs1(nil), "short key": pkcs1(make([]byte, 16)), "long key": pkcs1(make([]byte, 33)), "wrong key": pkcs1(make([]byte, 32)),
		"not conforming": raw(block(0, 1)), "no separator": raw(block(0, 2)), "separator at once": raw(block(0, 2, 0)),
		"block type 0": raw(block(0, 0)), "one": raw([]byte{1}),
	} {
		for _, transport := range []KeyTransport{PKCS1, OAEP} {
			for _, c := range []Cipher{AES256CBC, AES256GCM} {
				e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: c, KeyTransport: transport})
				e.Recipients[0].encrypted = encrypted
				got, err := e.Decrypt(0, id.key, DecryptOptions{})
				// one random key in 256 makes a good padding
				if err != ErrDecrypt && (c.Authenticated() || err != nil || bytes.Equal(got, content)) {
					t.Errorf("%s, %s, %s: %q, %v", name, transport, c, got, err)
				}
			}
		}
	}
}

// A key in hardware that does no implicit rejection of its own, and refuses to
// be asked for it.
type loudKey struct{ *rsa.PrivateKey }

func (k loudKey) Decrypt(_ io.Reader, b []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	// What old hardware does.
	if o, ok := opts.(*rsa.PKCS1v15DecryptOptions); !ok || o.SessionKeyLen != 0 {
		return nil, errors.New("session key length: not supported")
	}
	// What old hardware does.
	return rsa.DecryptPKCS1v15(nil, k.PrivateKey, b)
}

func TestImplicitRejectionIsOurs(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	key := loudKey{id.key.(*rsa.PrivateKey)}
	e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES256GCM})
	if got, err := e.Decrypt(0, key, DecryptOptions{}); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%q, %v", got, err)
	}
	e.Recipients[0].encrypted = make([]byte, 256)
	if _, err := e.Decrypt(0, key, DecryptOptions{}); err != ErrDecrypt {
		t.Errorf("error %v", err)
	}
}

// A deafKey recovers no content key from anything, at once, and counts how often
// it is asked.
type deafKey struct {
	crypto.Signer
	asked *int
}

func (k deafKey) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	*k.asked++
	return nil, errors.New("no")
}

func (k deafKey) Curve() ecdh.Curve          { return ecdh.P256() }
func (k deafKey) PublicKey() *ecdh.PublicKey { return nil }
func (k deafKey) ECDH(*ecdh.PublicKey) ([]byte, error) {
	*k.asked++
	return make([]byte, 32), nil
}

// Where no content key is found, a random one takes the way through the content
// all the same, so that the time tells nothing: of ten thousand random keys some
// make a good padding, which a way cut short never finds. The key is asked once
// each time, as with a good message.
func TestRandomKeyDecryptsContent(t *testing.T) {
	const tries = 10_000 // none in all of them: (255/256)^10000, or 1 in 10^17
	for _, kind := range []string{"rsa2048", "p256"} {
		id := newIdentity(t, kind)
		e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES128CBC})
		asked, opened := 0, 0
		for range tries {
			got, err := e.Decrypt(0, deafKey{id.key, &asked}, DecryptOptions{})
			switch {
			case err == nil && !bytes.Equal(got, content):
				opened++
			case err != ErrDecrypt:
				t.Fatalf("%s: %q, %v", kind, got, err)
			}
		}
		if opened == 0 || opened > tries/64 {
			t.Errorf("%s: %d of %d random keys made a good padding", kind, opened, tries)
		}
		if asked != tries {
			t.Errorf("%s: the key was asked %d times for %d messages", kind, asked, tries)
		}
	}
}

// An awayKey is in a device that does not answer.
type awayKey struct{ crypto.Signer }

var errAway = fmt.Errorf("%w: session lost", ErrDevice)

func (awayKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errAway }
func (awayKey) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return nil, errAway
}
func (awayKey) Curve() ecdh.Curve                    { return ecdh.P256() }
func (awayKey) PublicKey() *ecdh.PublicKey           { return nil }
func (awayKey) ECDH(*ecdh.PublicKey) ([]byte, error) { return nil, errAway }

// A device that is away is no bad message, whatever its ciphertext is like.
func TestDeviceAway(t *testing.T) {
	for _, kind := range []string{"rsa2048", "p256"} {
		id := newIdentity(t, kind)
		away := awayKey{id.key}
		e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES256GCM})
		if _, err := e.Decrypt(0, away, DecryptOptions{}); !errors.Is(err, ErrDevice) {
			t.Errorf("%s: %v", kind, err)
		}
		e.Recipients[0].encrypted[0] ^= 1
		if _, err := e.Decrypt(0, away, DecryptOptions{}); !errors.Is(err, ErrDevice) {
			t.Errorf("%s, bad: %v", kind, err)
		}
		_, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: id.cert, Key: away}}})
		if !errors.Is(err, ErrDevice) || errors.Is(err, ErrKey) {
			t.Errorf("%s, sign: %v", kind, err)
		}
	}
}

// A key in memory does its own as well, in constant time.
func TestImplicitRejectionIsAlsoTheLibrarys(t *testing.T) {
	key := newIdentity(t, "rsa2048").key.(*rsa.PrivateKey)
	// What Decrypt asks for.
	o, ok := pkcs1Options(key, 32).(*rsa.PKCS1v15DecryptOptions)
	if !ok || o.SessionKeyLen != 32 {
		t.Errorf("options %+v", o)
	}
}

// Wrapped keys, points and encapsulations that are wrong in each octet.
func TestBadAgreementIsOneError(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, field := range []string{"encrypted", "point", "ukm"} {
		for i := range 65 {
			e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES256GCM})
			r := &e.Recipients[0]
			switch field {
			case "encrypted":
				r.encrypted[i%len(r.encrypted)] ^= 0x10
			case "point":
				r.point[i] ^= 0x10
			case "ukm":
				r.ukm = make([]byte, i)
			}
			if _, err := e.Decrypt(0, id.key, DecryptOptions{}); err != ErrDecrypt {
				t.Errorf("%s, octet %d: %v", field, i, err)
			}
		}
	}
	for _, n := range []int{0, 8, 16, 23, 24, 32, 48, 72, 80, 1 << 20} {
		e := sealed(t, id, EncryptRequest{Content: [][]byte{content}, Cipher: AES128GCM})
		e.Recipients[0].encrypted = make([]byte, n)
		if _, err := e.Decrypt(0, id.key, DecryptOptions{}); err != ErrDecrypt {
			t.Errorf("wrapped key of %d octets: %v", n, err)
		}
	}
}

func TestWrongKeys(t *testing.T) {
	rsaID, ec, ec384, ed := newIdentity(t, "rsa2048"), newIdentity(t, "p256"), newIdentity(t, "p384"), newIdentity(t, "ed25519")
	x, _ := newX25519(t)
	byRSA := sealed(t, rsaID, EncryptRequest{Content: [][]byte{content}, Cipher: AES128GCM})
	byEC := sealed(t, ec, EncryptRequest{Content: [][]byte{content}, Cipher: AES128GCM})
	for _, tc := range []struct {
		e    *EnvelopedData
		key  crypto.PrivateKey
		want error
	}{
		{byRSA, nil, ErrKey}, {byRSA, ec.key, ErrKey}, {byRSA, ed.key, ErrKey}, {byRSA, "key", ErrKey},
		{byRSA, newIdentity(t, "rsa2048-b").key, ErrDecrypt},
		{byRSA, newIdentity(t, "rsa1024").key, ErrWeak},
		{byEC, nil, ErrKey}, {byEC, rsaID.key, ErrKey}, {byEC, ed.key, ErrKey},
		{byEC, newIdentity(t, "p256-b").key, ErrDecrypt}, {byEC, ec384.key, ErrDecrypt}, {byEC, x, ErrDecrypt},
	} {
		if _, err := tc.e.Decrypt(0, tc.key, DecryptOptions{}); !errors.Is(err, tc.want) {
			t.Errorf("%T: %v, want %v", tc.key, err, tc.want)
		}
	}
	for _, i := range []int{-1, 1} {
		if _, err := byRSA.Decrypt(i, rsaID.key, DecryptOptions{}); !errors.Is(err, ErrKey) {
			t.Errorf("recipient %d: %v", i, err)
		}
	}
}
