package cms

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/sha1"
	"slices"
	"testing"
)

// RFC 3394 section 4.
func TestKeyWrapVectors(t *testing.T) {
	const kek, data = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F"
	for _, tc := range []struct {
		kek, data int
		want      string
	}{
		{16, 16, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
		{24, 16, "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
		{32, 16, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
		{24, 24, "031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"},
		{32, 24, "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"},
		{32, 32, "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
	} {
		k, d := unhex(t, kek)[:tc.kek], unhex(t, data)[:tc.data]
		got, err := wrapKey(k, d)
		if err != nil || !bytes.Equal(got, unhex(t, tc.want)) {
			t.Errorf("%d/%d: %x, %v", tc.kek, tc.data, got, err)
		}
		if back, ok := unwrapKey(k, got); !ok || !bytes.Equal(back, d) {
			t.Errorf("%d/%d: unwrapped %x", tc.kek, tc.data, back)
		}
		for i := range got {
			got[i] ^= 1
			if _, ok := unwrapKey(k, got); ok {
				t.Errorf("%d/%d: changed octet %d", tc.kek, tc.data, i)
			}
			got[i] ^= 1
		}
	}
	if _, err := wrapKey(make([]byte, 16), make([]byte, 8)); err == nil {
		t.Error("wrapped a key of 8 octets")
	}
	if _, err := wrapKey(make([]byte, 15), make([]byte, 16)); err == nil {
		t.Error("wrapped with a key of 15 octets")
	}
}

// wrapDES is RFC 3217 section 3.1.
func wrapDES(t *testing.T, kek, key []byte) []byte {
	t.Helper()
	b, err := des.NewTripleDESCipher(kek)
	if err != nil {
		t.Fatal(err)
	}
	check := sha1.Sum(key)
	body := append(slices.Clone(key), check[:8]...)
	iv := make([]byte, 8)
	rand.Read(iv)
	cipher.NewCBCEncrypter(b, iv).CryptBlocks(body, body)
	all := append(iv, body...)
	slices.Reverse(all)
	cipher.NewCBCEncrypter(b, []byte("\x4a\xdd\xa2\x2c\x79\xe8\x21\x05")).CryptBlocks(all, all)
	return all
}

func TestTripleDESWrap(t *testing.T) {
	kek, key := make([]byte, 24), make([]byte, 24)
	rand.Read(kek)
	rand.Read(key)
	wrapped := wrapDES(t, kek, key)
	if got, ok := unwrapDES(kek, wrapped); !ok || !bytes.Equal(got, key) {
		t.Errorf("unwrapped %x", got)
	}
	for i := range wrapped {
		wrapped[i] ^= 1
		if _, ok := unwrapDES(kek, wrapped); ok {
			t.Errorf("changed octet %d", i)
		}
		wrapped[i] ^= 1
	}
	for _, n := range []int{0, 8, 32, 39, 41, 48} {
		if _, ok := unwrapDES(kek, make([]byte, n)); ok {
			t.Errorf("%d octets", n)
		}
	}
}

// Pieces of all sizes must encrypt as the whole, whether the object is appended
// or streamed, and nothing behind the result may be touched.
func TestObjectPieces(t *testing.T) {
	id := newIdentity(t, "p256")
	data := make([]byte, 100)
	rand.Read(data)
	for _, c := range permitted(AES256CBC, AES256GCM, ChaCha20Poly1305) {
		for step := 1; step <= 101; step += 4 {
			var pieces [][]byte
			for p := range slices.Chunk(data, step) {
				pieces = append(pieces, p)
			}
			r := EncryptRequest{Content: pieces, Cipher: c}
			r.Recipients = certificates(id)
			o, err := Encrypt(r)
			if err != nil {
				t.Fatal(err)
			}
			checkObject(t, o)
			e, err := ParseEnvelopedData(o.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.Decrypt(0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s in pieces of %d: %x, %v", c, step, got, err)
			}
		}
	}
	o, err := Sign(SignRequest{Content: [][]byte{data[:1], data[1:]}, Signers: []Signer{{Certificate: id.cert, Key: id.key}}})
	if err != nil {
		t.Fatal(err)
	}
	checkObject(t, o)
}

// checkObject compares the ways to write an object.
func checkObject(t *testing.T, o *Object) {
	t.Helper()
	want := o.Bytes()
	if len(want) != o.Len() {
		t.Errorf("Len is %d, wrote %d", o.Len(), len(want))
	}
	buf := bytes.Repeat([]byte{0xee}, o.Len()+20)
	got := o.AppendTo(buf[:5])
	if !bytes.Equal(got[5:], want) || &got[0] != &buf[0] {
		t.Error("AppendTo differs, or moved the buffer")
	}
	if tail := buf[5+o.Len():]; !bytes.Equal(tail, bytes.Repeat([]byte{0xee}, 15)) {
		t.Errorf("wrote behind the object: %x", tail)
	}
	var w bytes.Buffer
	if n, err := o.WriteTo(&w); err != nil || n != int64(len(want)) || !bytes.Equal(w.Bytes(), want) {
		t.Errorf("WriteTo: %d, %v", n, err)
	}
}

// The content given is not changed, and neither is what lies behind it.
func TestContentIsNotChanged(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, c := range []Cipher{AES256CBC, AES256GCM} {
		data := bytes.Repeat([]byte{7}, 100)
		o, err := Encrypt(EncryptRequest{Content: [][]byte{data[:33]}, Recipients: certificates(id), Cipher: c})
		if err != nil {
			t.Fatal(err)
		}
		o.Bytes()
		if !bytes.Equal(data, bytes.Repeat([]byte{7}, 100)) {
			t.Errorf("%s: %x", c, data)
		}
		der := o.Bytes()
		before := slices.Clone(der)
		e, err := ParseEnvelopedData(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Decrypt(0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(der, before) {
			t.Errorf("%s: decrypting changed the object: %v", c, err)
		}
	}
	data := bytes.Repeat([]byte{7}, 100)
	if _, err := Sign(SignRequest{Content: [][]byte{data[:33]}, Signers: []Signer{{Certificate: id.cert, Key: id.key, Digest: crypto.SHA512}}}); err != nil || data[33] != 7 {
		t.Error(err)
	}
}
