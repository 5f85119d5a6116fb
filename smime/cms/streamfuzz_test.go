package cms

import (
	"bytes"
	"crypto/ecdh"
	"crypto/x509"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzStream: an object read as a stream is what it is in memory, or is refused as it is
// there.
func FuzzStream(f *testing.F) {
	key := fuzzKeys(f)[0].(*ecdh.PrivateKey)
	id := newIdentity(f, "p256")
	recipients := []*x509.Certificate{issueFor(f, "p256", mustSPKI(f, key.PublicKey()))}
	for _, size := range []int64{-1, int64(len(content))} {
		for _, c := range streamable(AES128CBC, AES256CBC, AES256GCM, ChaCha20Poly1305) {
			var object bytes.Buffer
			if err := EncryptStream(&object, EncryptRequest{Recipients: recipients, Cipher: c}, bytes.NewReader(content), size); err != nil {
				f.Fatal(err)
			}
			f.Add(object.Bytes())
		}
	}
	var signed bytes.Buffer
	if err := SignStream(&signed, SignRequest{Signers: []Signer{{Certificate: id.cert, Key: id.key}}}, bytes.NewReader(content)); err != nil {
		f.Fatal(err)
	}
	f.Add(signed.Bytes())
	f.Add([]byte(rawSigned([]byte("\x24\x80\x04\x01a\x24\x80\x04\x01b\x00\x00\x00\x00"), nil, nil)))
	f.Add([]byte(CertsOnly([]*x509.Certificate{id.cert}, [][]byte{{0x30, 0}}).Bytes()))
	f.Fuzz(func(t *testing.T, ber []byte) {
		sameSigned(t, ber)
		sameEnveloped(t, ber, key)
	})
}

// same reports whether both readers come to an object, and fails unless both or neither
// does. A header of an element that is absurdly long is refused by one only.
func same(t *testing.T, memory, stream error) bool {
	t.Helper()
	checkKind(t, stream)
	if (memory == nil) != (stream == nil) && (stream == nil || !strings.Contains(stream.Error(), "header too long")) {
		t.Errorf("in memory %v, as a stream %v", memory, stream)
	}
	return memory == nil && stream == nil
}

func sameSigned(t *testing.T, ber []byte) {
	var content bytes.Buffer
	s, err := ParseSignedData(ber)
	streamed, streamErr := ReadSignedData(bytes.NewReader(ber), &content)
	if !same(t, err, streamErr) {
		return
	}
	if s.Content != nil && !bytes.Equal(s.Content.Bytes(), content.Bytes()) || s.Content == nil && content.Len() > 0 {
		t.Errorf("another content: %q", content.Bytes())
	}
	results, others := s.Verify(VerifyOptions{AllowWeak: true}), streamed.Verify(VerifyOptions{AllowWeak: true})
	for i := range results {
		a, b := results[i], others[i]
		if (a.Err == nil) != (b.Err == nil) || !reflect.DeepEqual(a.ID, b.ID) || a.SigningTime != b.SigningTime {
			t.Errorf("signer %d: %+v, and %+v", i, a, b)
		}
	}
}

func sameEnveloped(t *testing.T, ber []byte, key *ecdh.PrivateKey) {
	e, err := ParseEnvelopedData(ber)
	streamed, streamErr := ReadEnvelopedData(bytes.NewReader(ber), newMemorySpool())
	if !same(t, err, streamErr) {
		return
	}
	if (e.Sound() == nil) != (streamed.Sound() == nil) {
		t.Errorf("%v, and %v", e.Sound(), streamed.Sound())
	}
	if !reflect.DeepEqual(e.Recipients, streamed.Recipients) || e.Cipher != streamed.Cipher {
		t.Error("another envelope")
	}
	for i := range min(len(e.Recipients), 3) {
		var got bytes.Buffer
		want, err := e.Decrypt(i, key, DecryptOptions{AllowWeak: true})
		streamErr := streamed.DecryptTo(&got, i, key, DecryptOptions{AllowWeak: true})
		checkKind(t, streamErr)
		// A content key that cannot be recovered is a random one.
		if e.Authenticated && (err == nil) != (streamErr == nil) || err == nil && streamErr == nil && e.Authenticated && !bytes.Equal(got.Bytes(), want) {
			t.Errorf("recipient %d: %v, and %v", i, err, streamErr)
		}
		if streamErr != nil && (got.Len() > 0 || err == nil && !errors.Is(streamErr, ErrDecrypt)) {
			t.Errorf("recipient %d: %d octets beside %v", i, got.Len(), streamErr)
		}
	}
}
