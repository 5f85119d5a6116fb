package service

import (
	"crypto"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// presets are the profiles without a file, with what each must come to: the
// padding of the signature, its digest, the cipher, what it asks of inbound mail.
var presets = map[string]struct{ signature, digest, cipher, minimum string }{
	"default":    {"rsa-pkcs1", "sha-256", "aes-256-cbc", ""},
	"compatible": {"rsa-pkcs1", "sha-256", "aes-128-cbc", ""},
	"rfc8551":    {"rsa-pss", "sha-256", "aes-256-gcm", "sha-256, RSA keys of 2048 bits, aes-128"},
	"edi-energy": {"rsa-pss", "sha-256", "aes-128-gcm", "sha-256, RSA keys of 2048 bits, PSS, aes-128, OAEP"},
	"bsi":        {"rsa-pss", "sha-256", "aes-256-gcm", "sha-256, RSA keys of 3000 bits, PSS, aes-128, OAEP, keys of rsa ec brainpool"},
	"cnsa2":      {"ml-dsa-87", "sha-512", "aes-256-gcm", "sha-384, aes-256, an authenticating cipher, keys of ml-dsa-87 ml-kem-1024"},
	"direct":     {"rsa-pkcs1", "sha-256", "aes-256-cbc", "sha-256, RSA keys of 2048 bits, aes-128, keys of rsa ec"},
	"pqc":        {"rsa-pss", "sha-512", "aes-256-gcm", "sha-384, RSA keys of 3072 bits, PSS, aes-256, an authenticating cipher, OAEP"},
}

// TestPresets: what each preset makes is what its name says, and comes up to its
// own minimum.
func TestPresets(t *testing.T) {
	configured := filepath.Join(t.TempDir(), "config.toml")
	const text = "hostname = \"gw.example.org\"\n[store]\nurl = \"\"\n[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n"
	if err := os.WriteFile(configured, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	parts, problems := Load(configured, time.Now, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer parts.Close()
	profiles := parts.Gateway.Profiles
	if len(profiles) != len(presets) {
		t.Errorf("%d presets, want %d", len(profiles), len(presets))
	}
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	alice := (*certs.Identity)(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "rsa3072"})))
	checker := testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff}))
	for name, want := range presets {
		p := profiles[name]
		signer, reader := alice, alice
		if name == "cnsa2" {
			mldsa, kem := testpki.Must(pkix.GenerateMLDSA(pkix.MLDSA87Scheme)), testpki.Must(pkix.GenerateKEM("ML-KEM-1024"))
			signer, reader = postQuantum(ca, mldsa, x509.KeyUsageDigitalSignature), postQuantum(ca, kem, x509.KeyUsageKeyEncipherment)
		}
		for _, id := range []*certs.Identity{signer, reader} {
			if why := p.Minimum().Key(id.Certificate); why != "" {
				t.Errorf("%s: %s", name, why)
			}
		}
		report := roundTrip(t, p, signer, reader, checker)
		if report.Result != certs.Pass || string(report.Signers[0].Signature) != want.signature || report.Signers[0].Digest != want.digest || string(report.Encryption.Cipher) != want.cipher {
			t.Errorf("%s: %+v, encrypted as %+v", name, report, report.Encryption)
		}
		if got := p.Minimum().String(); got != want.minimum {
			t.Errorf("%s asks for %q, want %q", name, got, want.minimum)
		}
		if p.Minimum().Judge(&report); report.Result != certs.Pass {
			t.Errorf("%s is below its own minimum: %s", name, report.Detail)
		}
	}
}

// postQuantum is an identity of alice with a key that testpki does not make.
func postQuantum(ca *testpki.CA, key interface{ Public() crypto.PublicKey }, usage x509.KeyUsage) *certs.Identity {
	return (*certs.Identity)(testpki.Must(ca.Issue(testpki.Leaf{
		Addresses: []string{"alice@example.org"}, PrivateKey: key, PublicKeyInfo: testpki.Must(pkix.MarshalKeyInfo(key.Public())), KeyUsage: usage,
	})))
}

// roundTrip signs and encrypts by a profile and opens it again.
func roundTrip(t *testing.T, p gateway.Profile, id, reader *certs.Identity, checker certs.Checker) smime.Report {
	t.Helper()
	m := testpki.Must(message.Parse([]byte("From: alice@example.org\r\n\r\nhello\r\n")))
	digest, _ := cms.DigestByName(p.Digest)
	m = testpki.Must(smime.Sign(m, id, smime.SignOptions{Digest: digest, PSS: p.Signature == "pss", Opaque: p.Opaque, Wrapped: p.Wrap == "message"}))
	cipher := cms.Cipher(p.Cipher)
	if cipher == "auto" {
		cipher = ""
	}
	m = testpki.Must(smime.Encrypt(m, []*x509.Certificate{reader.Certificate}, smime.EncryptOptions{Cipher: cipher, KeyTransport: cms.KeyTransport(p.KeyTransport)}))
	return smime.Open(t.Context(), m, smime.OpenOptions{Keys: certs.NewKeys(time.Now, id, reader), Checker: checker, At: time.Now()}).Report
}

// TestPresetsRefuse: what the keys of a preset exclude does not pass by it, and its
// own identities are named by check.
func TestPresetsRefuse(t *testing.T) {
	dir := t.TempDir()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	alice := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "rsa2048"}))
	if err := os.WriteFile(filepath.Join(dir, "alice.pem"), testpki.Must(alice.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	configured := filepath.Join(dir, "config.toml")
	text := "hostname = \"gw.example.org\"\n[identities]\npath = \"" + filepath.Join(dir, "alice.pem") + "\"\n" +
		"[[rule]]\nname = \"b\"\ndirection = \"inbound\"\nsender = [\"*\"]\nprofile = \"bsi\"\n" +
		"[[partner]]\ndomain = \"cnsa.example\"\nminimum = \"cnsa2\"\n[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n"
	if err := os.WriteFile(configured, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	parts, problems := loadElsewhere(t, configured)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer parts.Close()
	checker := testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff}))
	for name, want := range map[string]string{
		"bsi":     "the recipient's RSA key has 2048 bits, and 3000 are the least",
		"cnsa2":   "it is encrypted by rsa-oaep, and the profile wants ml-dsa-87 ml-kem-1024",
		"rfc8551": "",
	} {
		p := parts.Gateway.Profiles[name]
		report := roundTrip(t, p, (*certs.Identity)(alice), (*certs.Identity)(alice), checker)
		if p.Minimum().Judge(&report); report.Detail != want || (report.Result == certs.Pass) != (want == "") {
			t.Errorf("%s: %+v", name, report)
		}
	}
	h, err := parts.Survey(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	warnings := parts.Warnings(h, time.Now()).Error()
	for _, want := range []string{
		"the profile \"bsi\" does not allow 1 of the identities, such as that of \"alice@example.org\": its RSA key has 2048 bits, and 3000 are the least",
		"the profile \"cnsa2\" does not allow 1 of the identities",
	} {
		if !strings.Contains(warnings, want) {
			t.Errorf("warned of %s\nwant %s", warnings, want)
		}
	}
}
