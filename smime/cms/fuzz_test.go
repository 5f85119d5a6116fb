package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/x509"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The fuzz targets start from testdata/fuzz, which TestWriteFuzzCorpus makes
// with our own code when CMS_WRITE_CORPUS is set. The keys are the same in every
// run, so that the objects can be opened.

// fuzzKeys returns a key for each kind of recipient but RSA.
func fuzzKeys(t testing.TB) []crypto.PrivateKey {
	t.Helper()
	seed := sha256.Sum256([]byte("smimerelay fuzz"))
	p256, err := ecdh.P256().NewPrivateKey(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	x, err := ecdh.X25519().NewPrivateKey(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	kem, err := mlkem.NewDecapsulationKey768(append(seed[:], seed[:]...))
	if err != nil {
		t.Fatal(err)
	}
	return []crypto.PrivateKey{p256, x, kem}
}

// checkKind fails for an error that is not of this package.
func checkKind(t *testing.T, err error) {
	t.Helper()
	if err != nil && !bytes.HasPrefix([]byte(err.Error()), []byte("cms: ")) {
		t.Errorf("foreign error %v", err)
	}
}

func FuzzSignedData(f *testing.F) {
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := ParseSignedData(der)
		checkKind(t, err)
		if err != nil {
			return
		}
		if s.Content != nil && len(s.Content.Bytes()) != s.Content.Len() {
			t.Error("content of another length")
		}
		results := s.Verify(VerifyOptions{AllowWeak: true})
		if len(results) != s.Signers() {
			t.Errorf("%d results for %d signers", len(results), s.Signers())
		}
		for _, r := range results {
			checkKind(t, r.Err)
			if r.Err == nil && (r.Certificate == nil || r.Digest == 0 || r.Signature == "") {
				t.Errorf("good signature without a signer: %+v", r)
			}
		}
	})
}

func FuzzEnvelopedData(f *testing.F) {
	f.Fuzz(func(t *testing.T, der []byte) {
		e, err := ParseEnvelopedData(der)
		checkKind(t, err)
		if err != nil {
			return
		}
		for _, key := range fuzzKeys(t) {
			for i := range min(len(e.Recipients), 3) {
				plain, err := e.Decrypt(i, key, DecryptOptions{AllowWeak: true})
				checkKind(t, err)
				if err != nil && plain != nil {
					t.Error("plaintext beside an error")
				}
			}
		}
		if len(e.Recipients) > 0 {
			want, wantErr := e.Decrypt(0, fuzzKeys(t)[0], DecryptOptions{})
			want = bytes.Clone(want)
			got, gotErr := e.Decrypt(0, fuzzKeys(t)[0], DecryptOptions{InPlace: true})
			if (wantErr == nil) != (gotErr == nil) && e.Authenticated || wantErr == nil && gotErr == nil && e.Authenticated && !bytes.Equal(want, got) {
				t.Errorf("in place: %v and %v", wantErr, gotErr)
			}
		}
	})
}

func FuzzCompressedData(f *testing.F) {
	f.Fuzz(func(t *testing.T, der []byte) {
		_, plain, err := Decompress(der, Limits{MaxSize: 1 << 16})
		checkKind(t, err)
		if len(plain) > 1<<16 {
			t.Errorf("%d octets", len(plain))
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Fuzz(func(t *testing.T, der []byte) {
		a, err := parseAttributes(der)
		checkKind(t, err)
		if err == nil && (a.contentType == nil || a.digest == nil) {
			t.Error("incomplete attributes")
		}
		checkKind(t, checkUnsigned(der))
		list, err := ParseCapabilities(der)
		checkKind(t, err)
		if err == nil {
			if again, err := ParseCapabilities(list.Marshal()); err != nil || len(again) != len(list) {
				t.Errorf("capabilities do not survive: %v", err)
			}
		}
	})
}

func TestWriteFuzzCorpus(t *testing.T) {
	if os.Getenv("CMS_WRITE_CORPUS") == "" {
		for _, target := range []string{"SignedData", "EnvelopedData", "CompressedData", "Attributes", "DER"} {
			if files, _ := filepath.Glob("testdata/fuzz/Fuzz" + target + "/*"); len(files) == 0 {
				t.Errorf("no corpus for Fuzz%s: run with CMS_WRITE_CORPUS=1", target)
			}
		}
		return
	}
	ids := []*identity{newIdentity(t, "p256"), newIdentity(t, "ed25519"), newIdentity(t, "rsa2048")}
	for _, id := range ids {
		o, err := Sign(SignRequest{Content: [][]byte{content}, Signers: []Signer{{Certificate: id.cert, Key: id.key,
			PSS: true, UseSKI: id.name == "ed25519", Time: time.Unix(1e9, 0), EncryptionCertificate: id.cert}}})
		if err != nil {
			t.Fatal(err)
		}
		writeSeed(t, "SignedData", id.name, o.Bytes())
		s, err := ParseSignedData(o.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		writeSeed(t, "Attributes", id.name, s.signers[0].attrs)
		writeSeed(t, "DER", id.name, s.signers[0].attrs)
	}
	writeSeed(t, "SignedData", "certs-only", CertsOnly(certificates(ids[0]), [][]byte{{0x30, 0}}).Bytes())
	writeSeed(t, "SignedData", "pieces", rawSigned([]byte("\x24\x80\x04\x01a\x24\x80\x04\x01b\x00\x00\x00\x00"), nil, nil))
	writeSeed(t, "DER", "pieces", []byte("\x30\x80\x24\x80\x04\x01a\x24\x80\x04\x01b\x00\x00\x00\x00\x00\x00"))
	writeSeed(t, "Attributes", "capabilities", built(func(b *builder) { b.capabilities(DefaultCapabilities()) }))
	writeSeed(t, "CompressedData", "text", compressed(t, content))
	writeSeed(t, "CompressedData", "zeros", compressed(t, make([]byte, 1<<17)))
	keys := fuzzKeys(t)
	recipients := []*x509.Certificate{
		issueFor(t, "p256", mustSPKI(t, keys[0].(*ecdh.PrivateKey).PublicKey())),
		issueFor(t, "x25519", spki(oidX25519, nil, keys[1].(*ecdh.PrivateKey).PublicKey().Bytes())),
		issueFor(t, "mlkem", spki(oidMLKEM768, nil, keys[2].(*mlkem.DecapsulationKey768).EncapsulationKey().Bytes())),
		ids[2].cert,
	}
	for _, c := range permitted(AES128CBC, AES256GCM, ChaCha20Poly1305) {
		for i := range recipients {
			o, err := Encrypt(EncryptRequest{Content: [][]byte{content}, Recipients: recipients[i : i+1], Cipher: c, KeyTransport: OAEP, UseSKI: i == 1})
			if err != nil {
				t.Fatal(err)
			}
			writeSeed(t, "EnvelopedData", string(c)+"-"+strconv.Itoa(i), o.Bytes())
		}
	}
}

func mustSPKI(t testing.TB, pub any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writeSeed(t testing.TB, target, name string, data []byte) {
	t.Helper()
	dir := filepath.Join("testdata", "fuzz", "Fuzz"+target)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, name), []byte("go test fuzz v1\n[]byte("+strconv.Quote(string(data))+")\n"))
}
