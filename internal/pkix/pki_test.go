package pkix

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// name makes a DER Name with one common name of the string type tag.
func name(t *testing.T, tag int, value []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal([][]struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}{})
	if err != nil || len(der) != 2 {
		t.Fatal(err)
	}
	attr, err := asn1.Marshal(struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}{asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.RawValue{Tag: tag, Bytes: value}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: attr})
	if err != nil {
		t.Fatal(err)
	}
	seq, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: set})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func TestNamesAreComparedByMeaning(t *testing.T) {
	const printable, utf8String, ia5, bmp, t61, octets = 19, 12, 22, 30, 20, 4
	a := name(t, printable, []byte("Example  CA"))
	for _, same := range [][]byte{
		name(t, utf8String, []byte("example ca")), name(t, ia5, []byte(" EXAMPLE CA ")), name(t, t61, []byte("Example CA")),
		name(t, bmp, []byte("\x00E\x00x\x00a\x00m\x00p\x00l\x00e\x00 \x00C\x00A")),
	} {
		if !SameName(a, same) {
			t.Errorf("%x and %x differ", a, same)
		}
	}
	for _, other := range [][]byte{
		name(t, printable, []byte("ExampleCA")), name(t, utf8String, []byte("example cå")), name(t, octets, []byte("Example CA")),
		name(t, bmp, []byte("\x00E\x00")), {0x30, 0}, {0x30, 0x05, 0x31}, nil, append(bytes.Clone(a), 0),
	} {
		if SameName(a, other) {
			t.Errorf("%x and %x are taken for equal", a, other)
		}
	}
	// What the frames are for: one value cannot look like two.
	if NameKey(name(t, utf8String, []byte("a"))) == NameKey(name(t, utf8String, []byte("a\x00b"))) {
		t.Error("a value runs into the next")
	}
}

func openssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("install openssl: apt-get install openssl")
	}
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
}

// selfSigned returns a certificate that openssl made with options for its key.
func selfSigned(t *testing.T, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	openssl(t, dir, append([]string{"genpkey", "-out", "key.pem"}, options...)...)
	openssl(t, dir, "req", "-new", "-x509", "-key", "key.pem", "-subj", "/CN=strange", "-out", "cert.pem")
	data, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	return block.Bytes
}

func TestStrangeKeysAreNamed(t *testing.T) {
	for want, options := range map[string][]string{
		"brainpoolP320r1": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP320r1"},
		"brainpoolP512t1": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP512t1"},
		"secp256k1":       {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"},
		"Ed448":           {"-algorithm", "ED448"},
		"a curve with explicit parameters": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
			"-pkeyopt", "ec_param_enc:explicit"},
	} {
		der := selfSigned(t, options...)
		cert, err := ParseCertificate(der)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if got := KeyName(cert); got != want || PublicKey(cert) != nil {
			t.Errorf("%s: named %s, key %v", want, got, PublicKey(cert))
		}
		if !bytes.Equal(cert.Raw, der) {
			t.Errorf("%s: the certificate was changed", want)
		}
	}
}

func TestPSSKeys(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []string
		limited bool
	}{
		{"open", nil, false},
		{"limited", []string{"-pkeyopt", "rsa_pss_keygen_md:sha256", "-pkeyopt", "rsa_pss_keygen_mgf1_md:sha256",
			"-pkeyopt", "rsa_pss_keygen_saltlen:32"}, true},
	} {
		cert, err := ParseCertificate(selfSigned(t, append([]string{"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"}, c.options...)...))
		if err != nil {
			t.Fatal(err)
		}
		key, ok := PublicKey(cert).(PSSKey)
		if !ok || (key.Limit != nil) != c.limited {
			t.Fatalf("%s: key %v", c.name, PublicKey(cert))
		}
		good := algorithmOf(t, cert)
		if !good.Verify(key, cert.RawTBSCertificate, cert.Signature) {
			t.Errorf("%s: its own signature does not verify", c.name)
		}
		if c.limited && (Algorithm{scheme: PSSScheme, pss: PSS{crypto.SHA256, crypto.SHA256, 20}}).within(key.Limit) {
			t.Errorf("%s: a shorter salt is allowed", c.name)
		}
		if (Algorithm{scheme: PKCS1Scheme, hash: crypto.SHA256}).Verify(key, cert.RawTBSCertificate, cert.Signature) {
			t.Errorf("%s: verifies as PKCS #1 v1.5", c.name)
		}
	}
}

func algorithmOf(t *testing.T, c *x509.Certificate) Algorithm {
	t.Helper()
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(c.Raw, &parts); err != nil {
		t.Fatal(err)
	}
	a, id, ok := ReadAlgorithm(parts[1].FullBytes)
	if !ok {
		t.Fatalf("algorithm %s", id)
	}
	return a
}

func TestSignatures(t *testing.T) {
	for _, c := range []struct {
		key string
		alg x509.SignatureAlgorithm
	}{
		{"rsa2048", x509.SHA1WithRSA}, {"rsa2048", x509.SHA256WithRSA}, {"rsa2048", x509.SHA384WithRSA}, {"rsa2048", x509.SHA512WithRSA},
		{"rsa2048", x509.SHA256WithRSAPSS}, {"rsa2048", x509.SHA384WithRSAPSS}, {"rsa2048", x509.SHA512WithRSAPSS},
		{"p256", x509.ECDSAWithSHA256}, {"p384", x509.ECDSAWithSHA384}, {"p521", x509.ECDSAWithSHA512}, {"ed25519", x509.PureEd25519},
	} {
		ca := testpki.Must(testpki.NewCA(testpki.Options{Key: c.key, Signature: c.alg}))
		other := testpki.Must(testpki.NewCA(testpki.Options{Key: c.key}))
		cert := ca.Root
		a := algorithmOf(t, cert)
		key := PublicKey(cert)
		if !a.Verify(key, cert.RawTBSCertificate, cert.Signature) {
			t.Errorf("%v: does not verify", c.alg)
		}
		if a.Verify(PublicKey(other.Root), cert.RawTBSCertificate, cert.Signature) {
			t.Errorf("%v: verifies with another key", c.alg)
		}
		changed := bytes.Clone(cert.RawTBSCertificate)
		changed[len(changed)-1] ^= 1
		if a.Verify(key, changed, cert.Signature) || a.Verify(key, cert.RawTBSCertificate, nil) || a.Verify(nil, cert.RawTBSCertificate, cert.Signature) {
			t.Errorf("%v: a change is not noticed", c.alg)
		}
		if a.Weak() != (c.alg == x509.SHA1WithRSA) || a.Broken() {
			t.Errorf("%v: weak %v, broken %v", c.alg, a.Weak(), a.Broken())
		}
	}
}

func TestHostileAlgorithms(t *testing.T) {
	for _, der := range [][]byte{nil, {0x30}, {0x30, 0x00}, {0x30, 0x03, 0x06, 0x01, 0x2a}, {0x30, 0x84, 0xff, 0xff, 0xff, 0xff}} {
		if _, _, ok := ReadAlgorithm(der); ok {
			t.Errorf("%x is read", der)
		}
	}
	// PSS with the defaults of RFC 4055 is SHA-1, and weak.
	der, err := asn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: oidRSAPSS, Parameters: asn1.RawValue{FullBytes: []byte{0x30, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	if a, _, ok := ReadAlgorithm(der); !ok || !a.Weak() {
		t.Errorf("PSS by default: %+v, %v", a, ok)
	}
}

func TestHugeKeyIsNotUsed(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa2048"}))
	key := *ca.Root.PublicKey.(*rsa.PublicKey)
	n := *key.N
	key.N = n.Lsh(&n, 16384)
	if algorithmOf(t, ca.Root).Verify(&key, ca.Root.RawTBSCertificate, ca.Root.Signature) {
		t.Error("verified")
	}
}

func FuzzParseCertificate(f *testing.F) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{CRLs: []string{"http://x.example/crl"}}))
	f.Add(ca.Root.Raw)
	f.Add(append(bytes.Clone(ca.Root.Raw), "\r\n\x00"...))
	f.Fuzz(func(t *testing.T, der []byte) {
		before := bytes.Clone(der)
		cert, err := ParseCertificate(der)
		if !bytes.Equal(der, before) {
			t.Error("the input was changed")
		}
		if err == nil {
			KeyName(cert)
			NameKey(cert.RawSubject)
			if !bytes.Equal(cert.Raw, TrimDER(der)) {
				t.Error("Raw is not the element that was parsed")
			}
		}
	})
}
