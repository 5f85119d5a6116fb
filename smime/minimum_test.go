package smime

import (
	"crypto"
	"crypto/x509"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// What is below takes the pass, and nothing else: what failed keeps its reason,
// and what comes up to everything passes.
func TestMinimum(t *testing.T) {
	w := newWorld(t)
	const pkcs1, pss = false, true
	open := func(pss bool, cipher cms.Cipher, transport cms.KeyTransport) Report {
		m := w.sign(t, mail(t, text), w.alice, SignOptions{PSS: pss})
		if cipher == "" {
			return w.open(m, w.bob).Report
		}
		return w.open(encrypt(t, m, EncryptOptions{Cipher: cipher, KeyTransport: transport}, w.alice), w.alice).Report
	}
	unsigned := w.open(encrypt(t, mail(t, text), EncryptOptions{Cipher: "aes-128-cbc"}, w.bob), w.bob).Report
	sealed := w.open(encrypt(t, mail(t, text), EncryptOptions{}, w.alice), w.alice).Report
	pssOnly := open(pss, "", "")
	pssOnly.Signers[0].Certificate = &x509.Certificate{PublicKey: pkix.PSSKey{PublicKey: pkix.RSAKey(w.alice.Certificate.PublicKey)}}
	strong := Minimum{Digest: "sha-256", RSA: 2048, PSS: true, Cipher: "aes-128", Authenticated: true, OAEP: true}
	for _, tt := range []struct {
		name    string
		minimum Minimum
		report  Report
		want    string
	}{
		{"nothing asked", Minimum{}, open(pkcs1, "aes-128-cbc", cms.PKCS1), "pass"},
		{"all met", strong, open(pss, "aes-128-gcm", cms.OAEP), "pass"},
		{"signed only", strong, open(pss, "", ""), "pass"},
		{"digest", Minimum{Digest: "sha-384"}, open(pss, "", ""), "policy below-minimum the digest is sha-256, and sha-384 is the least"},
		{"key", Minimum{RSA: 3072}, open(pss, "", ""), "policy below-minimum the signer's RSA key has 2048 bits, and 3072 are the least"},
		{"key for PSS alone", Minimum{RSA: 3072}, pssOnly, "policy below-minimum the signer's RSA key has 2048 bits, and 3072 are the least"},
		{"padding", Minimum{PSS: true}, open(pkcs1, "", ""), "policy below-minimum the RSA signature has PKCS #1 v1.5 padding, and it must be PSS"},
		{"cipher", Minimum{Cipher: "aes-256"}, open(pss, "aes-128-gcm", cms.PKCS1), "policy below-minimum the cipher is aes-128-gcm, and aes-256 is the least"},
		{"authenticated", Minimum{Authenticated: true}, open(pss, "aes-256-cbc", cms.PKCS1), "policy below-minimum the cipher is aes-256-cbc, which does not authenticate"},
		{"transport", Minimum{OAEP: true}, open(pss, "aes-256-cbc", cms.PKCS1), "policy below-minimum the RSA key transport has PKCS #1 v1.5 padding, and it must be OAEP"},
		{"not signed", Minimum{Cipher: "aes-256"}, unsigned, "policy below-minimum the cipher is aes-128-cbc, and aes-256 is the least"},
		{"not signed, nothing asked", Minimum{Digest: "sha-512"}, unsigned, "none"},
		{"own key", Minimum{RSA: 3072}, sealed, "policy below-minimum the recipient's RSA key has 2048 bits, and 3072 are the least"},
		{"own key of another kind", Minimum{RSA: 3072}, unsigned, "none"},
		{"own key is the least", Minimum{RSA: 2048}, sealed, "none"},
		{"not our key", Minimum{RSA: 3072}, w.open(encrypt(t, mail(t, text), EncryptOptions{}, w.alice), w.bob).Report, "none no-key"},
		{"kind of signer", Minimum{Keys: "ml-dsa-87 ec"}, open(pss, "", ""), "policy below-minimum the signer's key is rsa, and the profile wants ml-dsa-87 ec"},
		{"kind of reader", Minimum{Keys: "rsa"}, unsigned, "policy below-minimum it is encrypted by ecdh, and the profile wants rsa"},
		{"curve of reader", Minimum{Keys: "brainpool"}, unsigned, "policy below-minimum the recipient's key is ec, and the profile wants brainpool"},
		{"allowed kinds", Minimum{Keys: "rsa"}, open(pss, "aes-256-cbc", cms.OAEP), "pass"},
		{"failed before", Minimum{Digest: "sha-512"}, Report{Result: certs.Fail, Reason: ReasonTampered, Signers: []Signer{{Result: certs.Fail, Digest: "sha-1"}}}, "fail content-changed"},
	} {
		before := len(tt.report.Signers) > 0 && tt.report.Signers[0].Result == certs.Pass
		report := tt.report
		tt.minimum.Judge(&report)
		got := string(report.Result)
		if report.Reason != "" {
			got += " " + string(report.Reason)
		}
		if report.Reason == ReasonMinimum {
			got += " " + report.Detail
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if before && tt.report.Signers[0].Result != certs.Pass {
			t.Errorf("%s: the report that was copied has changed", tt.name)
		}
	}
	for m, want := range map[Minimum]string{{}: "", strong: "sha-256, RSA keys of 2048 bits, PSS, aes-128, an authenticating cipher, OAEP"} {
		if m.String() != want {
			t.Errorf("%q", m)
		}
	}
}

// A certificate that limits its key to some parameters of PSS is signed with by these,
// whatever the profile says.
func TestKeyLimitedToPSS(t *testing.T) {
	w := newWorld(t)
	for mask, good := range map[crypto.Hash]bool{crypto.SHA512: true, crypto.SHA1: false} {
		limited := *w.alice.Certificate
		limited.PublicKey = pkix.PSSKey{PublicKey: pkix.RSAKey(limited.PublicKey), Limit: &pkix.PSS{Hash: crypto.SHA512, Mask: mask, Salt: 64}}
		id := &certs.Identity{Key: w.alice.Key, Certificate: &limited}
		if err := id.Check(); err != nil {
			t.Error(err)
		}
		signed, err := Sign(mail(t, text), id, SignOptions{Digest: crypto.SHA256, Time: w.now})
		if (err == nil) != good {
			t.Errorf("mask %v: %v", mask, err)
		}
		if err != nil {
			continue
		}
		if s := w.open(signed).Report.Signers; len(s) != 1 || s[0].Digest != "sha-512" || s[0].Signature != "rsa-pss" || s[0].Result != certs.Pass {
			t.Errorf("%+v", s)
		}
	}
}
