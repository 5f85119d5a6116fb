package builtin

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

var alice = testpki.Must(address.Parse("alice@example.com"))

type world struct {
	t   *testing.T
	now time.Time
	*Provider
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC().Truncate(time.Second)}
	s := testpki.Must(store.Open(t.Context(), store.Config{Key: bytes.Repeat([]byte{7}, store.KeySize), Clock: w.clock}))
	t.Cleanup(func() { _ = s.Close() })
	w.Provider = &Provider{PerHour: 100, Store: s}
	w.Authority = w.authority("X")
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) authority(name string) *ca.Authority {
	w.t.Helper()
	pair := testpki.Must(ca.Create(ca.Plan{Organization: name, Country: "DE", URL: "http://pki.example.com/", Key: "p256", Clock: w.clock}))
	key, ok := pair.Issuing.Key.(crypto.Signer)
	if !ok {
		w.t.Fatal("the authority's key cannot sign")
	}
	return testpki.Must(ca.New(ca.Config{Certificate: pair.Issuing.Certificate, Key: key, Ledger: w.Store,
		Place: ca.Place{URL: "http://pki.example.com/", Name: ca.Issuing}, Clock: w.clock}))
}

// holder has a certificate of the authority for one use.
func (w *world) holder(use ca.Use) *x509.Certificate {
	w.t.Helper()
	key := w.key()
	return testpki.Must(w.Authority.Certify(w.t.Context(), ca.Request{Address: alice}, use, key.Public()))[0]
}

func (w *world) key() crypto.Signer {
	w.t.Helper()
	key, ok := testpki.Must(ca.GenerateKey("p256")).(crypto.Signer)
	if !ok {
		w.t.Fatal("no signer")
	}
	return key
}

// renewal asks for a certificate in place of one, with the names that it has but for what
// change does.
func (w *world) renewal(current *x509.Certificate, change func(*x509.CertificateRequest)) *x509.CertificateRequest {
	w.t.Helper()
	o := enrol.Order{Current: &certs.Identity{Certificate: current}, Order: store.Order{Address: alice, Purpose: store.ForBoth, Key: w.key()}}
	der := testpki.Must(o.RenewalCSR())
	csr := testpki.Must(x509.ParseCertificateRequest(der))
	if change == nil {
		return csr
	}
	t := &x509.CertificateRequest{RawSubject: csr.RawSubject, EmailAddresses: csr.EmailAddresses}
	change(t)
	return testpki.Must(x509.ParseCertificateRequest(testpki.Must(x509.CreateCertificateRequest(rand.Reader, t, w.key()))))
}

// TestRenewedIsOfOneKind: a certificate that only signs is followed by one that only signs;
// one that is only encrypted to authenticates no one.
func TestRenewedIsOfOneKind(t *testing.T) {
	w := newWorld(t)
	for use, both := range map[ca.Use]bool{ca.OnlySign: false, ca.SignAndEncrypt: true} {
		c := w.holder(use)
		got := testpki.Must(w.Renewed(t.Context(), c, w.renewal(c, nil)))
		if !certs.Signs(got) || certs.Decrypts(got) != both || !bytes.Equal(got.RawSubject, c.RawSubject) {
			t.Errorf("%v: %v", use, got.KeyUsage)
		}
	}
	c := w.holder(ca.OnlyEncrypt)
	if _, err := w.Renewed(t.Context(), c, w.renewal(c, nil)); !errors.Is(err, ErrUnknown) {
		t.Errorf("authenticated by a certificate that only decrypts: %v", err)
	}
}

// TestRenewedHasTheNames of the certificate that is renewed, neither less nor more.
func TestRenewedHasTheNames(t *testing.T) {
	w := newWorld(t)
	c := w.holder(ca.SignAndEncrypt)
	for name, change := range map[string]func(*x509.CertificateRequest){
		"another subject": func(r *x509.CertificateRequest) {
			r.RawSubject, r.Subject = nil, pkix.Name{CommonName: "Alice", Organization: []string{"Bank"}}
		},
		"no subjectAltName":      func(r *x509.CertificateRequest) { r.EmailAddresses = nil },
		"another subjectAltName": func(r *x509.CertificateRequest) { r.DNSNames = []string{"example.com"} },
	} {
		refusal := new(enrol.Refusal)
		if _, err := w.Renewed(t.Context(), c, w.renewal(c, change)); !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Renewed(t.Context(), c, w.renewal(c, func(*x509.CertificateRequest) {})); err != nil {
		t.Errorf("the same names: %v", err)
	}
}

// TestRenewedAfterTheAuthority: what an authority before this one issued renews, unless that
// was revoked; and what is not ours any more is not renewed.
func TestRenewedAfterTheAuthority(t *testing.T) {
	w := newWorld(t)
	c := w.holder(ca.SignAndEncrypt)
	former := w.Authority.Config.Certificate
	w.now = w.now.Add(time.Minute)
	w.Authority = w.authority("Y")
	if _, err := w.Renewed(t.Context(), c, w.renewal(c, nil)); !errors.Is(err, ErrUnknown) {
		t.Errorf("a foreign authority: %v", err)
	}
	w.Former = []Former{{Certificate: former, Revoked: true}}
	if _, err := w.Renewed(t.Context(), c, w.renewal(c, nil)); !errors.Is(err, ErrUnknown) {
		t.Errorf("a revoked authority: %v", err)
	}
	w.Former[0].Revoked = false
	got, err := w.Renewed(t.Context(), c, w.renewal(c, nil))
	if err != nil || !bytes.Equal(got.RawIssuer, w.issuer()) {
		t.Errorf("a former authority: %v", err)
	}
	w.Local = func(address.Address) bool { return false }
	refusal := new(enrol.Refusal)
	if _, err := w.Renewed(t.Context(), c, w.renewal(c, nil)); !errors.As(err, &refusal) {
		t.Errorf("an address that is not ours any more: %v", err)
	}
}

// TestRevokedKeyIsNotCertifiedAgain: neither by the request that had the certificate, nor for
// another address, nor by a later authority; nor is a key whose certificate is blocked.
func TestRevokedKeyIsNotCertifiedAgain(t *testing.T) {
	for name, refuse := range map[string]func(w *world, c *x509.Certificate) error{
		"revoked": func(w *world, c *x509.Certificate) error {
			_, err := w.Authority.Revoke(t.Context(), c, "key-compromise")
			return err
		},
		"blocked": func(w *world, c *x509.Certificate) error {
			return w.Store.SetMark(t.Context(), sha256.Sum256(c.Raw), store.Blocked, "lost", time.Time{})
		},
	} {
		w := newWorld(t)
		key := w.key()
		csr := testpki.Must(x509.ParseCertificateRequest(testpki.Must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{EmailAddresses: []string{alice.String()}}, key))))
		c := testpki.Must(w.Certify(t.Context(), alice, csr, nil))
		if again := testpki.Must(w.Certify(t.Context(), alice, csr, nil)); !again.Equal(c) {
			t.Errorf("%s: the same request got another certificate", name)
		}
		if err := refuse(w, c); err != nil {
			t.Fatal(err)
		}
		for _, authority := range []string{"", "Y"} {
			if authority != "" {
				w.Authority = w.authority(authority)
			}
			for _, a := range []address.Address{alice, testpki.Must(address.Parse("bob@example.com"))} {
				other := testpki.Must(x509.ParseCertificateRequest(testpki.Must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key))))
				refusal := new(enrol.Refusal)
				if _, err := w.Certify(t.Context(), a, other, nil); !errors.As(err, &refusal) {
					t.Errorf("%s, authority %q, %s: %v", name, authority, a, err)
				}
			}
		}
	}
}

// TestSmallExponents are not certified.
func TestSmallExponents(t *testing.T) {
	n := testpki.Must(rsa.GenerateKey(rand.Reader, 2048)).N
	for e, good := range map[int]bool{3: false, 17: false, 65537: true} {
		if err := checkKey(&rsa.PublicKey{N: n, E: e}); (err == nil) != good {
			t.Errorf("exponent %d: %v", e, err)
		}
	}
}

// TestOneCertificateOfAKey: equal requests at the same moment get the same certificate, the first
// ones and renewals.
func TestOneCertificateOfAKey(t *testing.T) {
	w := newWorld(t)
	c := w.holder(ca.SignAndEncrypt)
	csr := w.renewal(c, nil)
	for name, ask := range map[string]func() (*x509.Certificate, error){
		"issued":  func() (*x509.Certificate, error) { return w.Certify(t.Context(), alice, csr, nil) },
		"renewed": func() (*x509.Certificate, error) { return w.Renewed(t.Context(), c, csr) },
	} {
		got := make([]*x509.Certificate, 8)
		var group sync.WaitGroup
		for i := range got {
			group.Go(func() { got[i] = testpki.Must(ask()) })
		}
		group.Wait()
		for _, other := range got {
			if !other.Equal(got[0]) {
				t.Fatalf("%s: several certificates of one key", name)
			}
		}
		csr = w.renewal(c, nil)
	}
	if n := testpki.Must(w.Store.IssuedSince(t.Context(), c.RawIssuer, time.Time{})); n != 3 {
		t.Errorf("%d certificates in the ledger", n)
	}
}
