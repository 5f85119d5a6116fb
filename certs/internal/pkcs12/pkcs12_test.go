package pkcs12

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	library "software.sslmate.com/src/go-pkcs12"

	"github.com/smimerelay/smimerelay/certs/internal/pbe"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// headerSize is the size of a header that der writes.
const headerSize = 5

// der is an element with contents of any length.
func der(tag byte, contents ...string) string {
	c := strings.Join(contents, "")
	return string([]byte{tag, 0x83, byte(len(c) >> 16), byte(len(c) >> 8), byte(len(c))}) + c
}

const (
	dataOID = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
	nameOID = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x14"
	three   = "\x02\x01\x03"
)

// bag is a SafeBag of the type n in the arc of bag types.
func bag(n byte, value string, attributes ...string) string {
	return der(0x30, "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01"+string([]byte{n}), der(0xa0, value), strings.Join(attributes, ""))
}

func certBag(cert *x509.Certificate) string {
	return bag(3, der(0x30, "\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01", der(0xa0, der(4, string(cert.Raw)))))
}

// safe is a safe that is not encrypted.
func safe(bags ...string) string {
	return der(0x30, dataOID, der(0xa0, der(4, der(0x30, bags...))))
}

// file is a file with these safes and nothing that checks them.
func file(safes ...string) []byte {
	return []byte(der(0x30, three, der(0x30, dataOID, der(0xa0, der(4, der(0x30, safes...))))))
}

func issue(t testing.TB) (*testpki.Identity, string) {
	t.Helper()
	id := testpki.Must(testpki.Must(testpki.NewCA(testpki.Options{})).Issue(testpki.Leaf{}))
	return id, string(testpki.Must(x509.MarshalPKCS8PrivateKey(id.Key)))
}

// TestManySafes reads what Windows writes of several keys: one safe each, with
// bags of other kinds between, and a bag of bags, which no program writes.
func TestManySafes(t *testing.T) {
	id, key := issue(t)
	name := der(0x31, der(0x30, nameOID, der(0x31, der(0x1e, "\x00\xc4\x00b"))))
	crl, secret := bag(4, "\x05\x00"), bag(5, "\x05\x00")
	got, err := Decode(file(safe(bag(1, key, name)), safe(crl, certBag(id.Certificate)), safe(secret, bag(6, der(0x30, bag(1, key))))), "whatever")
	if err != nil {
		t.Fatal(err)
	}
	if got.Protected || len(got.Keys) != 2 || len(got.Certificates) != 1 || got.Keys[0].Name != "Äb" || got.Keys[1].Name != "" ||
		string(got.Keys[0].Info) != key || !bytes.Equal(got.Certificates[0], id.Certificate.Raw) {
		t.Errorf("%+v", got)
	}
	nested := bag(1, key)
	for range 5 {
		nested = bag(6, der(0x30, nested))
	}
	if _, err := Decode(file(safe(nested)), ""); err != errMalformed {
		t.Errorf("nested too deeply: %v", err)
	}
	if _, err := Decode(file(safe(strings.Repeat(bag(4, ""), maxBags+1))), ""); err == nil || !strings.Contains(err.Error(), "split it") {
		t.Errorf("many bags: %v", err)
	}
}

// TestEmptyPasswords opens both kinds: that of two zero octets, and that of none.
func TestEmptyPasswords(t *testing.T) {
	for _, f := range []pbe.Form{{Wide: []byte{0, 0}}, {Wide: nil}} {
		id, _ := issue(t)
		plain := file(safe(certBag(id.Certificate)))
		content := plain[len(plain)-contentLength(t, plain):]
		count := cryptobyte.String("\x02\x01\x05")
		key, err := pbe.MACKey(sha1.New, []byte("salt"), &count, pbe.NewBudget(100))
		if err != nil {
			t.Fatal(err)
		}
		k, _ := key(f)
		mac := hmac.New(sha1.New, k)
		mac.Write(content)
		digest := der(0x30, der(0x30, "\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"), der(4, string(mac.Sum(nil))))
		data := []byte(der(0x30, string(plain[headerSize:]), der(0x30, digest, der(4, "salt"), "\x02\x01\x05")))
		if got, err := Decode(data, ""); err != nil || len(got.Certificates) != 1 {
			t.Errorf("%x: %v, %v", f.Wide, got, err)
		}
		if _, err := Decode(data, "x"); err != pbe.ErrPassword {
			t.Errorf("%x, with a password: %v", f.Wide, err)
		}
		data[len(data)-len(digest)-300] ^= 1 // in the certificate
		if _, err := Decode(data, ""); err != pbe.ErrPassword {
			t.Errorf("%x, changed: %v", f.Wide, err)
		}
	}
}

// contentLength returns how long the AuthenticatedSafe is, which ends the file.
func contentLength(t *testing.T, plain []byte) int {
	t.Helper()
	s, err := normalized(plain)
	if err != nil {
		t.Fatal(err)
	}
	s.ReadASN1(&s, 0x30)
	s.Skip(len(three))
	_, explicit, _ := contentInfo(&s)
	content, err := octets(&explicit)
	if err != nil {
		t.Fatal(err)
	}
	return len(content)
}

// TestOfTheLibrary reads what another implementation writes, PBMAC1 among it.
func TestOfTheLibrary(t *testing.T) {
	id, _ := issue(t)
	for name, e := range map[string]*library.Encoder{
		"rc2": library.LegacyRC2, "3des": library.LegacyDES, "2023": library.Modern2023, "pbmac1": library.Modern2026,
	} {
		data := testpki.Must(e.Encode(id.Key, id.Certificate, nil, "Geheim€"))
		got, err := Decode(data, "Geheim€")
		if err != nil || len(got.Keys) != 1 || len(got.Certificates) != 1 || !got.Protected {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if _, err := Decode(data, "geheim€"); !errors.Is(err, pbe.ErrPassword) {
			t.Errorf("%s: with another password: %v", name, err)
		}
	}
	// A key of one octet would let every 256th password pass.
	data := testpki.Must(library.Modern2026.Encode(id.Key, id.Certificate, nil, "x"))
	short := bytes.Replace(data, []byte("\x02\x02\x08\x00\x02\x01\x20"), []byte("\x02\x02\x08\x00\x02\x01\x01"), 1)
	if _, err := Decode(short, "x"); bytes.Equal(short, data) || err != errMalformed {
		t.Errorf("PBMAC1 with a key of one octet: %v", err)
	}
}

func TestRefused(t *testing.T) {
	signed := strings.Replace(dataOID, "\x07\x01", "\x07\x02", 1)
	enveloped := strings.Replace(dataOID, "\x07\x01", "\x07\x03", 1)
	for name, c := range map[string]struct{ data, want string }{
		"version 2":     {der(0x30, "\x02\x01\x02"), "version 2"},
		"signed":        {der(0x30, three, der(0x30, signed, der(0xa0, "\x05\x00"))), "public-key integrity mode"},
		"public key":    {string(file(der(0x30, enveloped, der(0xa0, "\x05\x00")))), "not password-encrypted"},
		"unknown check": {der(0x30, string(file()[headerSize:]), der(0x30, der(0x30, der(0x30, "\x06\x02\x2a\x03"), "\x04\x01a"), "\x04\x01b")), "integrity check"},
		"trailing":      {string(file()) + "x", "well-formed"},
	} {
		if _, err := Decode([]byte(c.data), ""); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzDecode holds that nothing makes the reader fall or work long, and that where
// the library reads a file too, both read the same.
func FuzzDecode(f *testing.F) {
	id, key := issue(f)
	f.Add(file(safe(bag(1, key), certBag(id.Certificate))))
	f.Add(append(append([]byte{0x30, 0x80}, file(safe(bag(1, key)))[headerSize:]...), 0, 0))
	for _, e := range []*library.Encoder{library.LegacyRC2, library.Modern2023, library.Modern2026} {
		f.Add(testpki.Must(e.WithIterations(1).Encode(id.Key, id.Certificate, nil, "password")))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decode(data, "password", pbe.NewBudget(10_000))
		if err != nil {
			return
		}
		k, cert, more, err := library.DecodeChain(data, "password")
		if err != nil {
			return // it reads less
		}
		if len(got.Keys) != 1 || len(got.Certificates) != 1+len(more) || !bytes.Equal(got.Certificates[0], cert.Raw) {
			t.Fatalf("%d keys, %d certificates", len(got.Keys), len(got.Certificates))
		}
		want, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			return
		}
		ours, err := x509.ParsePKCS8PrivateKey(got.Keys[0].Info)
		if err != nil {
			t.Fatal(err)
		}
		if der, err := x509.MarshalPKCS8PrivateKey(ours); err != nil || !bytes.Equal(der, want) {
			t.Error("another key")
		}
	})
}
