package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"testing"
)

// A content sealed buffer by buffer is what the library makes of it in one piece, and
// is opened again.
func TestStreamAEAD(t *testing.T) {
	for _, name := range permitted(AES128GCM, AES192GCM, AES256GCM, ChaCha20Poly1305) {
		for _, size := range []int{0, 1, 15, 16, 17, 100, streamSize - 1, streamSize, streamSize + 1, 3*streamSize + 5} {
			for _, aad := range []int{0, 1, 16, 100} {
				spec := name.spec()
				key, nonce, plain, additional := random(spec.key), random(nonceSize), random(size), random(aad)
				whole, err := spec.newAEAD(key, nonceSize, tagSize)
				if err != nil {
					t.Fatal(err)
				}
				want := whole.Seal(nil, nonce, plain, additional)
				for _, open := range []bool{false, true} {
					a, err := spec.newStreamAEAD(key, nonce, additional)
					if err != nil {
						t.Fatal(err)
					}
					got, work := bytes.Clone(plain), a.seal
					if open {
						got, work = bytes.Clone(want[:size]), a.open
					}
					for rest := got; len(rest) > 0; rest = rest[min(len(rest), streamSize):] {
						work(rest[:min(len(rest), streamSize)])
					}
					if open && !bytes.Equal(got, plain) || !open && !bytes.Equal(got, want[:size]) {
						t.Errorf("%s of %d octets: other octets", name, size)
					}
					if !a.genuine(want[size:]) {
						t.Errorf("%s of %d octets with %d: another tag", name, size, aad)
					}
				}
			}
		}
	}
}

// Nonces of an unusual size lead to any first counter, which begins again at its end.
func TestStreamUnusualNonces(t *testing.T) {
	for _, size := range []int{1, 8, 11, 13, 16, 17, 33, 64} {
		spec := AES256GCM.spec()
		key, nonce, plain := random(spec.key), random(size), random(5000)
		whole, err := spec.newAEAD(key, size, tagSize)
		if err != nil {
			t.Fatal(err)
		}
		want := whole.Seal(nil, nonce, plain, nil)
		a, err := spec.newStreamAEAD(key, nonce, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.seal(plain)
		if tag := a.sum(); !bytes.Equal(append(plain, tag[:]...), want) {
			t.Errorf("nonce of %d octets", size)
		}
	}
}

func TestCounterBeginsAgain(t *testing.T) {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	first := [blockSize]byte(random(blockSize))
	binary.BigEndian.PutUint32(first[12:], 1<<32-3)
	want := make([]byte, 100)
	for i := range 7 {
		counted := first
		binary.BigEndian.PutUint32(counted[12:], ^uint32(1)+uint32(i))
		cipher.NewCTR(block, counted[:]).XORKeyStream(want[i*16:min(i*16+16, 100)], make([]byte, min(16, 100-i*16)))
	}
	got := make([]byte, 100)
	c := newCounter(block, first)
	c.XORKeyStream(got[:16], got[:16])
	c.XORKeyStream(got[16:], got[16:])
	if !bytes.Equal(got, want) {
		t.Errorf("%x\n%x", got, want)
	}
}
