package cms

import (
	"bytes"
	"crypto/fips140"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"
	"time"
)

// A spool in memory, whose octets a test may change.
type memorySpool struct {
	*bytes.Reader
	octets []byte
}

func newMemorySpool() *memorySpool { return &memorySpool{Reader: bytes.NewReader(nil)} }

func (m *memorySpool) Write(b []byte) (int, error) {
	m.octets = append(m.octets, b...)
	at, err := m.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	m.Reader = bytes.NewReader(m.octets)
	_, err = m.Seek(at+int64(len(b)), io.SeekStart)
	return len(b), err
}

// newSpool returns an empty file.
func newSpool(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// streamable are those of the ciphers that may encrypt streams in the mode of this process.
func streamable(list ...Cipher) []Cipher {
	return slices.DeleteFunc(permitted(list...), func(c Cipher) bool { return fips140.Enforced() && c.Authenticated() })
}

// What is not approved is refused, and what is works.
func TestEnforcedStreams(t *testing.T) {
	if !fips140.Enforced() {
		t.Log("not enforced; see TestFIPS")
		return
	}
	id := newIdentity(t, "p256")
	request := EncryptRequest{Recipients: []*x509.Certificate{id.cert}}
	if err := EncryptStream(io.Discard, request, bytes.NewReader(content), -1); err != nil {
		t.Error(err)
	}
	request.Cipher, request.Content = AES256GCM, [][]byte{content}
	whole, err := Encrypt(request)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ReadEnvelopedData(bytes.NewReader(whole.Bytes()), newSpool(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.DecryptTo(io.Discard, 0, id.key, DecryptOptions{}); !errors.Is(err, ErrNotApproved) {
		t.Error(err)
	}
	request.Content = nil
	if err := EncryptStream(io.Discard, request, bytes.NewReader(content), -1); !errors.Is(err, ErrNotApproved) {
		t.Error(err)
	}
}

// streamSizes are those around a block, a buffer and several.
var streamSizes = []int{0, 1, 15, 16, 17, streamSize - 1, streamSize, streamSize + 1, 3*streamSize + 7}

func TestSignStream(t *testing.T) {
	ids := []*identity{newIdentity(t, "p256"), newIdentity(t, "ed25519"), newIdentity(t, "rsa2048")}
	var signers []Signer
	for _, id := range ids {
		signers = append(signers, Signer{Certificate: id.cert, Key: id.key, Time: time.Unix(1e9, 0)})
	}
	for _, size := range streamSizes {
		data := random(size)
		var object, content bytes.Buffer
		if err := SignStream(&object, SignRequest{Signers: signers}, iotest.HalfReader(bytes.NewReader(data))); err != nil {
			t.Fatal(err)
		}
		s, err := ReadSignedData(iotest.OneByteReader(bytes.NewReader(object.Bytes())), &content)
		if err != nil || !bytes.Equal(content.Bytes(), data) || s.Content != nil || s.Bare() {
			t.Fatalf("%d octets: %v", size, err)
		}
		whole, err := ParseSignedData(object.Bytes())
		if err != nil || !bytes.Equal(whole.Content.Bytes(), data) {
			t.Fatalf("%d octets in memory: %v", size, err)
		}
		for i, r := range append(s.Verify(VerifyOptions{}), whole.Verify(VerifyOptions{})...) {
			if r.Err != nil {
				t.Errorf("%d octets, signer %d: %v", size, i, r.Err)
			}
		}
		for _, r := range s.Verify(VerifyOptions{Content: [][]byte{[]byte("another")}}) {
			if !errors.Is(r.Err, ErrDigest) {
				t.Errorf("%d octets, another content: %v", size, r.Err)
			}
		}
	}
}

// A content that is not what was signed fails, and a signature without attributes cannot
// be judged when the content has passed.
func TestReadSignedDataForged(t *testing.T) {
	id := newIdentity(t, "p256")
	var object bytes.Buffer
	signer := Signer{Certificate: id.cert, Key: id.key}
	if err := SignStream(&object, SignRequest{Signers: []Signer{signer}}, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(object.Bytes(), content, bytes.ToUpper(content), 1)
	s, err := ReadSignedData(bytes.NewReader(forged), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Verify(VerifyOptions{})[0]; !errors.Is(r.Err, ErrDigest) {
		t.Error(r.Err)
	}
	signer.Bare = true
	bare, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{signer}})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = ReadSignedData(bytes.NewReader(bare.Bytes()), io.Discard); err != nil {
		t.Fatal(err)
	}
	if r := s.Verify(VerifyOptions{AllowBare: true})[0]; !errors.Is(r.Err, ErrUnsupported) {
		t.Error(r.Err)
	}
	if r := s.Verify(VerifyOptions{AllowBare: true, Content: [][]byte{content}})[0]; r.Err != nil {
		t.Error(r.Err)
	}
}

func TestEncryptStream(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, c := range streamable(AES128CBC, AES256CBC, AES128GCM, AES256GCM, ChaCha20Poly1305) {
		for _, size := range streamSizes {
			for _, announced := range []int64{-1, int64(size)} {
				for _, derive := range []bool{false, true} {
					data := random(size)
					request := EncryptRequest{Recipients: []*x509.Certificate{id.cert}, Cipher: c, DeriveKey: derive}
					var object, plain bytes.Buffer
					if err := EncryptStream(&object, request, iotest.HalfReader(bytes.NewReader(data)), announced); err != nil {
						t.Fatal(err)
					}
					e, err := ReadEnvelopedData(iotest.HalfReader(bytes.NewReader(object.Bytes())), newSpool(t))
					if err != nil {
						t.Fatalf("%s, %d octets: %v", c, size, err)
					}
					if err := e.DecryptTo(&plain, 0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(plain.Bytes(), data) {
						t.Errorf("%s, %d octets of %d: %v", c, size, announced, err)
					}
					if got, err := e.Decrypt(0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(got, data) {
						t.Errorf("%s, %d octets of %d, from the spool to memory: %v", c, size, announced, err)
					}
					if size > 0 && e.Sound() != nil {
						t.Errorf("%s: %v", c, e.Sound())
					}
					whole, err := ParseEnvelopedData(object.Bytes())
					if err != nil {
						t.Fatal(err)
					}
					if got, err := whole.Decrypt(0, id.key, DecryptOptions{}); err != nil || !bytes.Equal(got, data) {
						t.Errorf("%s, %d octets of %d, in memory: %v", c, size, announced, err)
					}
				}
			}
		}
	}
}

// Where the size is known the object is in DER, the same to the octet in length as one
// from memory.
func TestEncryptStreamDER(t *testing.T) {
	id := newIdentity(t, "rsa2048")
	request := EncryptRequest{Recipients: []*x509.Certificate{id.cert}, KeyTransport: OAEP}
	var object bytes.Buffer
	if err := EncryptStream(&object, request, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	der, err := DER(object.Bytes())
	if err != nil || !bytes.Equal(der, object.Bytes()) {
		t.Errorf("not DER: %v", err)
	}
	request.Content = [][]byte{content}
	whole, err := Encrypt(request)
	if err != nil || whole.Len() != object.Len() {
		t.Errorf("%d octets, and %d in memory: %v", object.Len(), whole.Len(), err)
	}
}

// What cannot be read, is of another size, or cannot be written, is an error, and no
// end of a content.
func TestStreamFailures(t *testing.T) {
	id := newIdentity(t, "p256")
	encrypt := EncryptRequest{Recipients: []*x509.Certificate{id.cert}}
	sign := SignRequest{Signers: []Signer{{Certificate: id.cert, Key: id.key}}}
	broken := func() io.Reader {
		return io.MultiReader(bytes.NewReader(content), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	if err := EncryptStream(io.Discard, encrypt, broken(), -1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if err := SignStream(io.Discard, sign, broken()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	for _, wrong := range []int64{0, int64(len(content)) - 1, int64(len(content)) + 1} {
		if err := EncryptStream(io.Discard, encrypt, bytes.NewReader(content), wrong); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d octets: %v", wrong, err)
		}
	}
	full := errors.New("disk full")
	failing := writerFunc(func([]byte) (int, error) { return 0, full })
	if err := EncryptStream(failing, encrypt, bytes.NewReader(content), -1); !errors.Is(err, full) {
		t.Error(err)
	}
	if err := SignStream(failing, sign, bytes.NewReader(content)); !errors.Is(err, full) {
		t.Error(err)
	}
	sign.Detached = true
	if err := SignStream(io.Discard, sign, bytes.NewReader(content)); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	encrypt.Content = [][]byte{content}
	if err := EncryptStream(io.Discard, encrypt, bytes.NewReader(content), -1); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// Nothing of a plaintext is written that was changed on its way, or whose key is another
// one, and one error says so. An object that is cut off is not read.
func TestDecryptToForged(t *testing.T) {
	id, other := newIdentity(t, "p256"), newIdentity(t, "p256-b")
	data := random(2*streamSize + 5)
	for _, c := range streamable(AES256CBC, AES256GCM, ChaCha20Poly1305) {
		var object bytes.Buffer
		if err := EncryptStream(&object, EncryptRequest{Recipients: []*x509.Certificate{id.cert}, Cipher: c}, bytes.NewReader(data), -1); err != nil {
			t.Fatal(err)
		}
		for _, cut := range []int{object.Len() - 1, object.Len() / 2, 10, 0} {
			if _, err := ReadEnvelopedData(bytes.NewReader(object.Bytes()[:cut]), newSpool(t)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, cut off at %d: %v", c, cut, err)
			}
		}
		spool := newMemorySpool()
		e, err := ReadEnvelopedData(&object, spool)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, key any) {
			t.Helper()
			var written bytes.Buffer
			err := e.DecryptTo(&written, 0, key, DecryptOptions{})
			if err != ErrDecrypt || written.Len() > 0 {
				t.Errorf("%s, %s: %d octets written, %v", c, what, written.Len(), err)
			}
		}
		if c.Authenticated() { // any padding is good once in 256 times
			check("another key", other.key)
			spool.octets[17] ^= 1
			check("another octet", id.key)
			spool.octets[17] ^= 1
			e.mac[3] ^= 1
			check("another tag", id.key)
			e.mac[3] ^= 1
		} else {
			e.spooled.size--
			check("no whole block", id.key)
			e.spooled.size++
		}
		if err := e.DecryptTo(io.Discard, 0, id.key, DecryptOptions{}); err != nil {
			t.Errorf("%s, unchanged again: %v", c, err)
		}
	}
}

// A padding that cannot be is found before anything is written.
func TestDecryptToPadding(t *testing.T) {
	id := newIdentity(t, "p256")
	data := random(streamSize + 11)
	var object bytes.Buffer
	if err := EncryptStream(&object, EncryptRequest{Recipients: []*x509.Certificate{id.cert}}, bytes.NewReader(data), -1); err != nil {
		t.Fatal(err)
	}
	spool := newMemorySpool()
	e, err := ReadEnvelopedData(&object, spool)
	if err != nil {
		t.Fatal(err)
	}
	spool.octets[len(spool.octets)-17] ^= 0x40 // the last octet of the padding is 0x45
	var written bytes.Buffer
	if err := e.DecryptTo(&written, 0, id.key, DecryptOptions{}); err != ErrDecrypt || written.Len() > 0 {
		t.Errorf("%d octets written, %v", written.Len(), err)
	}
}

// A spool that changes between the passes is found, at the latest at its end.
func TestDecryptToChangingSpool(t *testing.T) {
	id := newIdentity(t, "p256")
	for _, c := range streamable(AES256GCM, ChaCha20Poly1305) {
		var object bytes.Buffer
		if err := EncryptStream(&object, EncryptRequest{Recipients: []*x509.Certificate{id.cert}, Cipher: c}, bytes.NewReader(random(3*streamSize)), -1); err != nil {
			t.Fatal(err)
		}
		spool := newMemorySpool()
		e, err := ReadEnvelopedData(&object, spool)
		if err != nil {
			t.Fatal(err)
		}
		changed := spool.octets[2*streamSize] ^ 1
		change := writerFunc(func(b []byte) (int, error) { spool.octets[2*streamSize] = changed; return len(b), nil })
		if err := e.DecryptTo(change, 0, id.key, DecryptOptions{}); err != ErrDecrypt {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// What surrounds a content has its bound.
func TestReadBounds(t *testing.T) {
	endless := io.MultiReader(bytes.NewReader(rawSigned(nil, nil, nil)[:15]), iotest.OneByteReader(neverending{}))
	if _, err := ReadSignedData(endless, io.Discard); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooBig) {
		t.Error(err)
	}
	large := append([]byte("\x30\x80\x06\x09"+oidSignedData+"\xa0\x80\x30\x80\x04\x84\x7f\xff\xff\xff"), make([]byte, maxShell)...)
	if _, err := ReadSignedData(bytes.NewReader(large), io.Discard); !errors.Is(err, ErrTooBig) {
		t.Error(err)
	}
	deep := append([]byte("\x30\x80\x06\x09"+oidSignedData+"\xa0\x80\x30\x80"), bytes.Repeat([]byte{0x30, 0x80}, 100)...)
	if _, err := ReadSignedData(bytes.NewReader(deep), io.Discard); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

// neverending gives nested elements of indefinite length without end.
type neverending struct{}

func (neverending) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 0x30
	}
	return len(b), nil
}
