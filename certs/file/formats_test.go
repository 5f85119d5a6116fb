package file

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// keyKinds are the kinds of keys that identities may have.
var keyKinds = []string{"rsa2048", "rsa3072", "p256", "p384", "p521", "ed25519", "x25519"}

// chained makes an authority with an intermediate, which issues.
func chained(t *testing.T) *testpki.CA {
	t.Helper()
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	return testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
}

// wantIdentities compares what was read with what was written.
func wantIdentities(t *testing.T, name string, data []byte, password string, want ...*testpki.Identity) {
	t.Helper()
	c, err := ParseContents(data, password)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if len(c.Identities) != len(want) || !c.Protected {
		t.Errorf("%s: %d identities, protected %t; want %d", name, len(c.Identities), c.Protected, len(want))
		return
	}
	for _, w := range want {
		if !hasIdentity(c, w) {
			t.Errorf("%s: the identity %v is missing, or its chain", name, w.Certificate.Subject)
		}
	}
}

// wantPassword wants a wrong password refused. Deriving a key is most of the time of
// these tests: once for each encryption is enough.
func wantPassword(t *testing.T, name string, data []byte, password string) {
	t.Helper()
	if _, err := ParseContents(data, password+"x"); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("%s: with a wrong password: %v", name, err)
	}
}

func hasIdentity(c *Contents, want *testpki.Identity) bool {
	for _, id := range c.Identities {
		if id.Certificate.Equal(want.Certificate) && (&certs.Identity{Key: id.Key, Certificate: want.Certificate}).Check() == nil && len(id.Chain) == len(want.Chain) {
			return true
		}
	}
	return false
}

// tools runs programs in a folder of its own.
type tools struct {
	*testing.T
	dir string
}

func newTools(t *testing.T) tools {
	t.Helper()
	for program, pkg := range map[string]string{
		"openssl": "openssl", "pk12util": "libnss3-tools", "certutil": "libnss3-tools", "keytool": "openjdk-17-jdk-headless",
	} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("install %s: apt-get install %s", program, pkg)
		}
	}
	return tools{t, t.TempDir()}
}

// keytool runs Java's, which spends less on compiling itself than it would.
func (p tools) keytool(args ...string) string {
	p.Helper()
	return p.input("", append([]string{"keytool", "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"}, args...)...)
}

func (p tools) run(args ...string) {
	p.Helper()
	p.input("", args...)
}

func (p tools) input(stdin string, args ...string) string {
	p.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = p.dir
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

func (p tools) write(name string, data []byte) { write(p.T, 0o600, data, p.dir, name) }

func (p tools) read(name string) []byte {
	p.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.Fatal(err)
	}
	return data
}

func TestIdentitiesOfOpenSSL(t *testing.T) {
	ca := chained(t)
	p := newTools(t)
	export := []string{"openssl", "pkcs12", "-export", "-in", "id.pem", "-out", "out", "-name", "Näme", "-CSP", "Microsoft Software Key Storage Provider", "-passout", "pass:pw"}
	topk8 := []string{"openssl", "pkcs8", "-topk8", "-in", "id.pem", "-out", "out", "-passout", "pass:pw"}
	all := map[string][]string{
		"p12 modern":             export,
		"p12 legacy":             append(export[:len(export):len(export)], "-legacy"),
		"p12 3des":               append(export[:len(export):len(export)], "-descert"),
		"p12 aes-128":            append(export[:len(export):len(export)], "-keypbe", "AES-128-CBC", "-certpbe", "AES-192-CBC"),
		"p12 rc2-128":            append(export[:len(export):len(export)], "-legacy", "-keypbe", "PBE-SHA1-RC2-128", "-certpbe", "PBE-SHA1-2DES"),
		"p12 sha-512":            append(export[:len(export):len(export)], "-macalg", "sha512", "-iter", "10000"),
		"p12 sha-384":            append(export[:len(export):len(export)], "-macalg", "sha384", "-nomaciter"),
		"p12 no mac":             append(export[:len(export):len(export)], "-nomac"),
		"p12 clear certificates": append(export[:len(export):len(export)], "-certpbe", "NONE"),
		"pkcs8":                  topk8,
		"pkcs8 3des":             append(topk8[:len(topk8):len(topk8)], "-v2", "des3", "-v2prf", "hmacWithSHA1"),
		"pkcs8 sha-512":          append(topk8[:len(topk8):len(topk8)], "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"),
		"pkcs8 scrypt":           append(topk8[:len(topk8):len(topk8)], "-scrypt"),
		"pkcs8 pkcs12":           append(topk8[:len(topk8):len(topk8)], "-v1", "PBE-SHA1-3DES"),
	}
	for _, kind := range keyKinds {
		id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind, Addresses: []string{"a@x.org"}}))
		p.write("id.pem", testpki.Must(id.PEM()))
		for name, args := range all {
			if kind != "p256" && kind != "rsa2048" && name != "p12 modern" && name != "p12 legacy" && name != "pkcs8" {
				continue // these differ by the encryption alone
			}
			p.run(args...)
			data := p.read("out")
			if strings.HasPrefix(name, "pkcs8") {
				data = append(data, id.CertificatePEM()...)
			}
			wantIdentities(t, kind+" "+name, data, "pw", id)
			if kind == "p256" {
				wantPassword(t, name, data, "pw")
			}
		}
	}
}

func TestPasswordsOfOpenSSL(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{}))
	p := newTools(t)
	p.write("id.pem", testpki.Must(id.PEM()))
	for _, password := range []string{"", "Paßwort Ω€", "Schlüssel 🔑", strings.Repeat("long ", 60)} {
		for _, kind := range []string{"-legacy", "-nomac", ""} {
			args := []string{"openssl", "pkcs12", "-export", "-in", "id.pem", "-out", "out", "-passout", "pass:" + password}
			if kind != "" {
				args = append(args, kind)
			}
			p.run(args...)
			wantIdentities(t, password+" "+kind, p.read("out"), password, id)
			wantPassword(t, password+" "+kind, p.read("out"), password)
		}
	}
}

// TestIdentitiesOfNSS reads what Mozilla's tool exports, in all its ciphers: BER
// of indefinite length.
func TestIdentitiesOfNSS(t *testing.T) {
	t.Parallel()
	ca := chained(t)
	p := newTools(t)
	p.run("certutil", "-N", "-d", "sql:.", "--empty-password")
	for _, kind := range []string{"rsa2048", "p256"} {
		id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind, Name: kind, Addresses: []string{kind + "@x.org"}}))
		p.write("id.pem", testpki.Must(id.PEM()))
		p.run("openssl", "pkcs12", "-export", "-in", "id.pem", "-out", "in.p12", "-name", kind, "-passout", "pass:pw")
		p.run("pk12util", "-i", "in.p12", "-d", "sql:.", "-W", "pw")
		for name, options := range map[string][]string{
			"default": nil,
			"3des":    {"-c", "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-cbc", "-C", "PKCS #12 V2 PBE With SHA-1 And 40 Bit RC2 CBC", "-M", "SHA-1"},
			"clear":   {"-C", "none", "-M", "SHA-512"},
			"aes":     {"-c", "AES-192-CBC", "-C", "AES-256-CBC", "-M", "SHA-384"},
		} {
			if name != "default" && kind != "p256" {
				continue // these differ by the encryption alone
			}
			p.run(append([]string{"pk12util", "-o", "out.p12", "-d", "sql:.", "-n", kind, "-W", "Mötley"}, options...)...)
			data := p.read("out.p12")
			if data[1] != 0x80 {
				t.Errorf("%s %s: not of indefinite length, so this test shows less than it says", kind, name)
			}
			wantIdentities(t, kind+" "+name, data, "Mötley", id)
			if kind == "p256" {
				wantPassword(t, name, data, "Mötley")
			}
		}
	}
}

// TestIdentitiesOfJava reads a key store with several keys, a trusted certificate
// and a secret key, and the same store as older versions wrote it.
func TestIdentitiesOfJava(t *testing.T) {
	t.Parallel()
	ca := chained(t)
	p := newTools(t)
	var ids []*testpki.Identity
	convert := func(from, to string, more ...string) {
		p.keytool(append([]string{"-importkeystore", "-srckeystore", from, "-srcstorepass", "changeit", "-srcstoretype", "PKCS12",
			"-destkeystore", to, "-deststorepass", "changeit", "-deststoretype", "PKCS12"}, more...)...)
	}
	for _, kind := range []string{"rsa2048", "p256", "ed25519"} {
		id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind, Addresses: []string{kind + "@x.org"}}))
		ids = append(ids, id)
		p.write(kind+".p12", testpki.Must(id.PKCS12("changeit")))
		convert(kind+".p12", "modern.p12", "-srcalias", "1", "-destalias", kind)
	}
	other := testpki.Must(ca.Issue(testpki.Leaf{Name: "Other"}))
	p.write("other.cer", other.Certificate.Raw)
	store := []string{"-keystore", "modern.p12", "-storetype", "PKCS12", "-storepass", "changeit"}
	p.keytool(append(store, "-importcert", "-noprompt", "-alias", "other", "-file", "other.cer")...)
	p.keytool(append(store, "-genseckey", "-alias", "secret", "-keyalg", "AES", "-keysize", "128")...)
	convert("modern.p12", "legacy.p12", "-J-Dkeystore.pkcs12.legacy")
	for _, name := range []string{"modern", "legacy"} {
		data := p.read(name + ".p12")
		wantIdentities(t, name, data, "changeit", ids...)
		wantPassword(t, name, data, "changeit")
		c, err := ParseContents(data, "changeit")
		if err != nil || len(c.Certificates) != 1 || !c.Certificates[0].Equal(other.Certificate) {
			t.Errorf("%s: trusted certificates: %v, %v", name, c, err)
		}
	}
}

// TestCertificatesOnlyPKCS12 reads files without a key, of three programs.
func TestCertificatesOnlyPKCS12(t *testing.T) {
	ca := chained(t)
	id := testpki.Must(ca.Issue(testpki.Leaf{Name: "One"}))
	p := newTools(t)
	p.write("certs.pem", id.CertificatePEM())
	p.write("one.cer", id.Certificate.Raw)
	p.run("openssl", "pkcs12", "-export", "-nokeys", "-in", "certs.pem", "-out", "openssl.p12", "-passout", "pass:pw-of-store")
	p.keytool("-importcert", "-noprompt", "-alias", "one", "-file", "one.cer", "-keystore", "java.p12", "-storetype", "PKCS12", "-storepass", "pw-of-store")
	for file, n := range map[string]int{"openssl.p12": 2, "java.p12": 1} {
		c, err := ParseContents(p.read(file), "pw-of-store")
		if err != nil || len(c.Certificates) != n || len(c.Identities) != 0 || c.Protected {
			t.Errorf("%s: %+v, %v", file, c, err)
		}
		if _, err := ReadIdentities(filepath.Join(p.dir, file), "pw-of-store"); err == nil || !strings.Contains(err.Error(), "no private key") {
			t.Errorf("%s: as identities: %v", file, err)
		}
	}
}

func TestPEMWithSeveralKeys(t *testing.T) {
	ca := chained(t)
	var file bytes.Buffer
	var ids []*testpki.Identity
	for _, kind := range []string{"rsa2048", "p256", "x25519"} {
		id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind}))
		ids = append(ids, id)
		file.Write(id.CertificatePEM())
		file.Write(testpki.Must(EncodePEM((*certs.Identity)(id), "of all of them")))
	}
	wantIdentities(t, "bundle", file.Bytes(), "of all of them", ids...)
	wantPassword(t, "bundle", file.Bytes(), "of all of them")

	renewed := testpki.Must(ca.Issue(testpki.Leaf{PrivateKey: ids[0].Key, Name: "Renewed"}))
	stranger := testpki.Must(ca.Issue(testpki.Leaf{Name: "Stranger"}))
	two := append(testpki.Must(ids[0].PEM()), renewed.CertificatePEM()...)
	two = append(two, testpki.EncodeCertificates(ca.Root)...) // left out
	two = append(two, stranger.CertificatePEM()...)
	c, err := ParseContents(two, "")
	if err != nil || len(c.Identities) != 2 || len(c.Certificates) != 1 || c.Protected {
		t.Errorf("a key with two certificates, and a stranger's: %+v, %v", c, err)
	}
	lone := append(testpki.Must(ids[0].PEM()), testpki.Must(renewed.KeyPEM())...)
	if c, err := ParseContents(lone, ""); err != nil || len(c.Identities) != 1 {
		t.Errorf("the same key twice: %v, %v", c, err)
	}
	lone = append(testpki.Must(ids[1].PEM()), testpki.Must(ids[2].KeyPEM())...)
	if _, err := ParseContents(lone, ""); err == nil || !strings.Contains(err.Error(), "private key 2") {
		t.Errorf("a key without a certificate: %v", err)
	}
}

// Certificates write the same key in several ways, and private keys for PSS alone
// have an identifier of their own.
func TestIdentitiesInOtherForms(t *testing.T) {
	p := newTools(t)
	for name, args := range map[string][]string{
		"compressed": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"hybrid":     {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		"PSS":        {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"},
		"PSS, limited": {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_pss_keygen_md:sha512",
			"-pkeyopt", "rsa_pss_keygen_mgf1_md:sha512", "-pkeyopt", "rsa_pss_keygen_saltlen:64"},
	} {
		p.run(append([]string{"openssl", "genpkey", "-out", "key"}, args...)...)
		if !strings.HasPrefix(name, "PSS") {
			p.run("openssl", "ec", "-in", "key", "-conv_form", name, "-out", "key")
		}
		p.run("openssl", "req", "-x509", "-new", "-key", "key", "-subj", "/CN=form", "-out", "certificate")
		c, err := ParseContents(append(p.read("key"), p.read("certificate")...), "")
		if err != nil || len(c.Identities) != 1 || c.Identities[0].Check() != nil {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}
