package cms

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// streamed is a content of several buffers.
var streamed = bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog and the cat.\r\n"), 3000)

func TestSignStreamReadByOpenSSL(t *testing.T) {
	for _, tc := range signCases {
		id := newIdentity(t, tc.key)
		h, _ := DigestByName(tc.digest)
		certFile, _ := id.files(t, t.TempDir())
		file := newSpool(t)
		if err := SignStream(file, SignRequest{Signers: []Signer{{Certificate: id.cert, Key: id.key, Digest: h, PSS: tc.pss}}}, bytes.NewReader(streamed)); err != nil {
			t.Fatal(err)
		}
		got := openssl(t, nil, "cms", "-verify", "-binary", "-inform", "DER", "-in", file.Name(), "-CAfile", certFile, "-purpose", "any")
		if !bytes.Equal(got, streamed) {
			t.Errorf("%s, %s: %d octets", tc.key, tc.digest, len(got))
		}
	}
}

func TestReadSignedDataWrittenByOpenSSL(t *testing.T) {
	for _, tc := range signCases {
		for _, form := range []string{"-stream", "-indef", "-nosmimecap"} {
			if tc.pss && form != "-nosmimecap" {
				continue // OpenSSL 3.0 can not write PSS in a stream
			}
			id := newIdentity(t, tc.key)
			h, _ := DigestByName(tc.digest)
			certFile, keyFile := id.files(t, t.TempDir())
			args := append([]string{"cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", certFile, "-inkey", keyFile,
				"-md", fmt.Sprintf("sha%d", h.Size()*8), form}, tc.openssl...)
			var got bytes.Buffer
			s, err := ReadSignedData(bytes.NewReader(openssl(t, streamed, args...)), &got)
			if err != nil {
				t.Fatal(err)
			}
			if r := s.Verify(VerifyOptions{}); len(r) != 1 || r[0].Err != nil || !bytes.Equal(got.Bytes(), streamed) {
				t.Errorf("%s, %s, %s: %+v", tc.key, tc.digest, form, r)
			}
		}
	}
}

func TestEncryptStreamReadByOpenSSL(t *testing.T) {
	for _, key := range []string{"rsa2048", "p256"} {
		id := newIdentity(t, key)
		certFile, keyFile := id.files(t, t.TempDir())
		for _, c := range streamable(AES128CBC, AES256CBC, AES128GCM, AES256GCM) {
			for _, size := range []int64{-1, int64(len(streamed))} {
				file := newSpool(t)
				request := EncryptRequest{Recipients: []*x509.Certificate{id.cert}, Cipher: c, KeyTransport: OAEP}
				if err := EncryptStream(file, request, bytes.NewReader(streamed), size); err != nil {
					t.Fatal(err)
				}
				got := openssl(t, nil, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", file.Name(), "-recip", certFile, "-inkey", keyFile)
				if !bytes.Equal(got, streamed) {
					t.Errorf("%s, %s, size %d: %d octets", key, c, size, len(got))
				}
			}
		}
	}
}

func TestReadEnvelopedDataWrittenByOpenSSL(t *testing.T) {
	id := newIdentity(t, "p256")
	certFile, _ := id.files(t, t.TempDir())
	for _, c := range streamable(AES128CBC, AES256CBC, AES128GCM, AES256GCM) {
		for _, form := range []string{"-stream", "-keyid"} {
			object := filepath.Join(t.TempDir(), "object")
			openssl(t, streamed, "cms", "-encrypt", "-binary", "-outform", "DER", "-"+string(c), form,
				"-out", object, "-recip", certFile, "-keyopt", "ecdh_kdf_md:sha256")
			written, err := os.Open(object)
			if err != nil {
				t.Fatal(err)
			}
			defer written.Close()
			e, err := ReadEnvelopedData(written, newSpool(t))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := e.DecryptTo(&got, 0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(got.Bytes(), streamed) {
				t.Errorf("%s, %s: %v", c, form, err)
			}
		}
	}
}

// What Object.WriteTo writes buffer by buffer is what is in memory.
func TestWriteTo(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, size := range streamSizes {
		data := random(size)
		parts := [][]byte{data[:size/3], nil, data[size/3:]}
		for _, c := range permitted(AES256CBC, AES256GCM, ChaCha20Poly1305) {
			o, err := Encrypt(EncryptRequest{Content: parts, Recipients: []*x509.Certificate{id.cert}, Cipher: c})
			if err != nil {
				t.Fatal(err)
			}
			sameWritten(t, o)
		}
		o, err := Sign(SignRequest{Content: parts, Signers: []Signer{{Certificate: id.cert, Key: id.key}}})
		if err != nil {
			t.Fatal(err)
		}
		sameWritten(t, o)
	}
}

func sameWritten(t *testing.T, o *Object) {
	t.Helper()
	for range 2 {
		var b bytes.Buffer
		if n, err := o.WriteTo(&b); err != nil || n != int64(o.Len()) || !bytes.Equal(b.Bytes(), o.Bytes()) {
			t.Errorf("%d octets of %d, %v", n, o.Len(), err)
		}
	}
	if n, err := o.WriteTo(writerFunc(func([]byte) (int, error) { return 0, io.ErrShortWrite })); n != 0 || err != io.ErrShortWrite {
		t.Errorf("%d octets, %v", n, err)
	}
}
