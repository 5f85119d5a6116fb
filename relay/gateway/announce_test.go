package gateway

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
)

// TestSignaturesAnnounceWhatToEncryptTo: every signature of outgoing mail, in each of its forms,
// has the certificate to encrypt to, says that it is that one, and what the gateway can decrypt;
// so do those of imported pairs of identities, one of which only signs.
func TestSignaturesAnnounceWhatToEncryptTo(t *testing.T) {
	for name, p := range map[string]Profile{
		"clear": {}, "opaque": {Opaque: true}, "pss": {Signature: "pss"}, "protected": {ProtectSigned: true, ProtectEncrypted: true},
		"triple": {Wrap: "triple"}, "wrapped": {Wrap: "message"},
	} {
		for _, pair := range []bool{false, true} {
			w := newWorld(t)
			half := func(usage x509.KeyUsage) *certs.Identity {
				return (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{"alice@own.example"}, Key: "rsa2048", KeyUsage: usage})))
			}
			signs := half(0)
			encrypts := signs
			w.config.Keys = certs.NewKeys(time.Now, signs)
			if pair {
				signs, encrypts = half(x509.KeyUsageDigitalSignature), half(x509.KeyUsageKeyEncipherment)
				w.config.Keys = certs.NewKeys(time.Now, encrypts, signs)
			}
			w.config.Profiles = map[string]Profile{enforce.DefaultProfile: p}
			w.start()
			for _, to := range []string{"x@sign.example", bob} {
				o, err := w.send(to)
				if err != nil || len(o.Deliveries) != 1 {
					t.Fatalf("%s to %s: %+v, %v", name, to, o, err)
				}
				signers := w.read(o.Deliveries[0].Message).Report.Signers
				want := 1
				if p.Wrap == "triple" && to == bob {
					want = 2
				}
				if len(signers) != want {
					t.Errorf("%s, pair %t, to %s: %d signatures", name, pair, to, len(signers))
				}
				for _, s := range signers {
					if problem := announces(s, signs, encrypts); problem != "" {
						t.Errorf("%s, pair %t, to %s, layer %d: %s", name, pair, to, s.Layer, problem)
					}
				}
			}
		}
	}
}

// announces says what a signature of signs lacks by which replies are encrypted to encrypts.
func announces(s smime.Signer, signs, encrypts *certs.Identity) string {
	switch {
	case s.Result != certs.Pass || !s.Certificate.Equal(signs.Certificate):
		return "it is not a good one: " + string(s.Reason)
	case s.Preferred == nil || !s.Preferred.Matches(encrypts.Certificate):
		return "it does not say what to encrypt to"
	case !slices.ContainsFunc(s.Bundle, encrypts.Certificate.Equal):
		return "the certificate to encrypt to does not come with it"
	case len(s.Capabilities.Ciphers()) == 0:
		return "it does not say what can be decrypted"
	}
	return ""
}
