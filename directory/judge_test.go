package directory

import (
	"context"
	"crypto"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// finder is a source that has a whole Finding.
type finder struct {
	Plain
	Finding
}

func (finder) Name() string { return "finder" }

func (f finder) Find(context.Context, address.Address) (Finding, error) { return f.Finding, nil }

func TestOnlyTheOwnersClaimCounts(t *testing.T) {
	t.Parallel()
	own, signing, stranger := issue(t, bob, 0), issue(t, bob, 0), issue(t, "mallory@example.net", 0)
	checker := &fakeChecker{}
	checker.refuse(stranger, certs.Fail, certs.WrongAddress)
	id := cms.CertificateID(own)
	ciphers := []cms.Cipher{cms.AES128CBC}
	for name, c := range map[string]struct {
		claim Claim
		want  []cms.Cipher
	}{
		"own":                     {Claim{Signer: own, Ciphers: ciphers}, ciphers},
		"by the signing twin":     {Claim{Signer: signing, Preferred: &id, Ciphers: ciphers}, ciphers},
		"twin about itself":       {Claim{Signer: signing, Ciphers: ciphers}, nil},
		"by a stranger":           {Claim{Signer: stranger, Preferred: &id, Ciphers: ciphers}, nil},
		"by a stranger of itself": {Claim{Signer: stranger, Ciphers: ciphers}, nil},
	} {
		source := finder{Finding: Finding{Certificates: []*x509.Certificate{own}, Claims: []Claim{c.claim}}}
		d := open(t, Config{Sources: sources(source), Checker: checker})
		r := d.Lookup(t.Context(), addr(t, bob))
		if got := r.Candidates[0].Ciphers; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestLDAPReadsSignedCapabilities(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	id := testpki.Must(testCA().Issue(testpki.Leaf{Addresses: []string{bob}}))
	preferred := issue(t, bob, 0)
	ciphers := []cms.Cipher{cms.AES256GCM, cms.AES128CBC}
	sign := func(detached bool) string {
		o, err := cms.Sign(cms.SignRequest{
			Content:      [][]byte{{}},
			Detached:     detached,
			Certificates: []*x509.Certificate{preferred},
			Signers: []cms.Signer{{
				Certificate: id.Certificate, Key: id.Key.(crypto.Signer), Time: time.Now(),
				Ciphers: ciphers, EncryptionCertificate: preferred,
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(o.Bytes())
	}
	dn := s.AddPerson(t, bob)
	l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}})
	for _, detached := range []bool{false, true} {
		good := sign(detached)
		s.Set(t, dn, "userSMIMECertificate", good)
		f, err := l.Find(t.Context(), addr(t, bob))
		if err != nil || len(f.Certificates) != 2 {
			t.Fatalf("%v, %v", f, err)
		}
		if len(f.Claims) != 1 || !f.Claims[0].Signer.Equal(id.Certificate) ||
			!slices.Equal(f.Claims[0].Ciphers, ciphers) || !f.Claims[0].Preferred.Matches(preferred) {
			t.Errorf("detached %v: claims %+v", detached, f.Claims)
		}
		broken := []byte(good)
		broken[len(broken)-1] ^= 1
		s.Set(t, dn, "userSMIMECertificate", string(broken))
		f, err = l.Find(t.Context(), addr(t, bob))
		if err != nil || len(f.Certificates) != 2 || len(f.Claims) != 0 {
			t.Errorf("detached %v: a claim from a broken signature: %+v, %v", detached, f.Claims, err)
		}
	}
}
