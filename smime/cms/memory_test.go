package cms

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"runtime"
	"testing"
)

// allocated returns how many octets f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What the content costs in memory, beside itself: nothing where the caller
// brings the buffer, one buffer where not.
func TestMemory(t *testing.T) {
	const size, little = 8 << 20, 256 << 10
	id := newIdentity(t, "p256")
	data := make([]byte, size)
	out := make([]byte, 0, size+little)
	check := func(name string, most uint64, f func() error) {
		t.Helper()
		var err error
		if got := allocated(func() { err = f() }); err != nil || got > most {
			t.Errorf("%s: %d octets, %v", name, got, err)
		}
	}
	signer := []Signer{{Certificate: id.cert, Key: id.key}}
	var opaque []byte
	check("sign opaque", little, func() error {
		o, err := Sign(SignRequest{Content: [][]byte{data}, Signers: signer})
		if err == nil {
			opaque = o.AppendTo(out)
		}
		return err
	})
	check("verify opaque", little, func() error {
		s, err := ParseSignedData(opaque)
		if err != nil {
			return err
		}
		return s.Verify(VerifyOptions{})[0].Err
	})
	check("sign a digest", little, func() error {
		_, err := Sign(SignRequest{Detached: true, Digests: map[crypto.Hash][]byte{crypto.SHA256: make([]byte, 32)}, Signers: signer})
		return err
	})
	for _, c := range permitted(AES256CBC, AES256GCM, ChaCha20Poly1305) {
		check("encrypt "+string(c), little, func() error {
			o, err := Encrypt(EncryptRequest{Content: [][]byte{data}, Recipients: certificates(id), Cipher: c})
			if err == nil {
				out = o.AppendTo(out[:0])
			}
			return err
		})
		check("decrypt "+string(c), size+little, func() error {
			e, err := ParseEnvelopedData(out)
			if err == nil {
				_, err = e.Decrypt(0, id.key, DecryptOptions{})
			}
			return err
		})
		check("decrypt in place "+string(c), little, func() error {
			e, err := ParseEnvelopedData(out)
			if err == nil {
				_, err = e.Decrypt(0, id.key, DecryptOptions{InPlace: true})
			}
			return err
		})
	}
	// in pieces of 1,000 octets, as Outlook writes
	chunk := append([]byte{4, 0x82, 3, 0xe8}, make([]byte, 1000)...)
	pieces := rawSigned(append(append([]byte{0x24, 0x80}, bytes.Repeat(chunk, size/1000)...), 0, 0), nil, forgedInfo{id: id,
		attrs: goodAttributes(make([]byte, size/1000*1000))}.der(t))
	check("parse pieces", little, func() error {
		s, err := ParseSignedData(pieces)
		if err == nil {
			s.Verify(VerifyOptions{})
		}
		return err
	})
}

// The list of recipients does not grow step by step.
func TestRecipientsMemory(t *testing.T) {
	id := newIdentity(t, "rsa2048") // the infos of agreement would be the same
	certs := make([]*x509.Certificate, 100)
	for i := range certs {
		certs[i] = id.cert
	}
	o, err := Encrypt(EncryptRequest{Recipients: certs})
	if err != nil {
		t.Fatal(err)
	}
	object := o.Bytes()
	var e *EnvelopedData
	if got := allocated(func() { e, err = ParseEnvelopedData(object) }); got > 40_000 && !raced {
		t.Errorf("%d octets for %d recipients", got, len(certs))
	}
	if err != nil || len(e.Recipients) != len(certs) {
		t.Errorf("%d recipients, %v", len(e.Recipients), err)
	}
}

// What is inflated takes no more than was reserved for it, and one that is cut off is
// not taken for a whole one, wherever that is.
func TestInflatedMemory(t *testing.T) {
	const size = 8 << 20
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	whole := compressed(t, data)
	reserved := int64(0)
	limits := Limits{Reserve: func(n int64) bool { reserved += n; return true }}
	var got []byte
	var err error
	taken := allocated(func() { _, got, err = Decompress(whole, limits) })
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d octets, %v", len(got), err)
	}
	// With the race detector a slice that grows is allocated twice.
	if int64(taken) > reserved+1<<20 && !raced || reserved > 2*size+4*step {
		t.Errorf("%d octets taken, and %d reserved", taken, reserved)
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(data[:1<<20]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{z.Len() / 3, z.Len() - 5, z.Len() - 1} {
		var b builder
		b.tlv(tagOctetString, z.Bytes()[:left])
		if _, got, err := Decompress(rawCompressed(b), Limits{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d of %d octets: %d, %v", left, z.Len(), len(got), err)
		}
	}
}
