package revocation

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// respond makes a response about cert, signed by ca itself.
func respond(t testing.TB, ca *testpki.CA, cert *x509.Certificate, r ocsp.Response) []byte {
	t.Helper()
	r.SerialNumber = cert.SerialNumber
	if r.ThisUpdate.IsZero() {
		r.ThisUpdate = time.Now().Add(-time.Minute)
	}
	if r.NextUpdate.IsZero() {
		r.NextUpdate = time.Now().Add(time.Hour)
	}
	return testpki.Must(ocsp.CreateResponse(ca.Certificate, ca.Certificate, r, ca.Key))
}

func TestResponsesOfTheLibrary(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	cert := testpki.Must(ca.Issue(testpki.Leaf{Serial: big.NewInt(0x80)})).Certificate
	f := testpki.Must(NewFetcher(FetchConfig{}))
	defer f.Close()
	for name, c := range map[string]struct {
		r    ocsp.Response
		want Status
		err  bool
	}{
		"good":          {ocsp.Response{Status: ocsp.Good}, Good, false},
		"good, SHA-256": {ocsp.Response{Status: ocsp.Good, IssuerHash: crypto.SHA256}, Good, false},
		"good, SHA-512": {ocsp.Response{Status: ocsp.Good, IssuerHash: crypto.SHA512}, Good, false},
		"revoked":       {ocsp.Response{Status: ocsp.Revoked, RevokedAt: time.Now(), RevocationReason: 1}, Revoked, false},
		"unknown":       {ocsp.Response{Status: ocsp.Unknown}, Unknown, false},
		"early":         {ocsp.Response{ThisUpdate: time.Now().Add(time.Hour)}, 0, true},
		"within skew":   {ocsp.Response{ThisUpdate: time.Now().Add(time.Minute)}, Good, false},
		"stale":         {ocsp.Response{ThisUpdate: time.Now().Add(-3 * time.Hour), NextUpdate: time.Now().Add(-time.Hour)}, 0, true},
	} {
		r, err := f.interpret(respond(t, ca, cert, c.r), cert, ca.Certificate, false)
		if (err != nil) != c.err || err == nil && r.status != c.want {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestResponseWithoutEndMustBeFresh(t *testing.T) {
	now := time.Now()
	r := &response{thisUpdate: now.Add(-30 * time.Minute)}
	if text := r.current(now, 0); text != "" {
		t.Errorf("half an hour old: %s", text)
	}
	if r.current(now.Add(time.Hour), 0) == "" {
		t.Error("an hour and a half old, and taken")
	}
	if until := r.ends(now); until.After(now.Add(held)) {
		t.Errorf("remembered until %v", until)
	}
	r.responder = &x509.Certificate{NotAfter: now.Add(time.Second)}
	if until := r.ends(now); !until.Equal(r.responder.NotAfter) {
		t.Error("remembered beyond the responder's certificate")
	}
}

func FuzzReadResponse(f *testing.F) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	f.Add(respond(f, ca, ca.Root, ocsp.Response{Status: ocsp.Good}))
	f.Add(respond(f, ca, ca.Root, ocsp.Response{Status: ocsp.Revoked, RevokedAt: time.Now()}))
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := readResponse(der)
		if err != nil {
			return
		}
		r.authorized(ca.Root, time.Now(), true)
		r.about(ca.Root, ca.Root, time.Now())
	})
}

func FuzzReadPoints(f *testing.F) {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(contextTag(0).Constructed(), func(b *cryptobyte.Builder) { distributionPoint(b, "http://x.example/") })
		})
	})
	f.Add(b.BytesOrPanic())
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	cert := testpki.Must(ca.Issue(testpki.Leaf{CRLs: []string{"http://x.example/"}})).Certificate
	f.Fuzz(func(t *testing.T, der []byte) {
		c := *cert
		c.Extensions = c.Extensions[:0:0]
		for _, id := range []asn1.ObjectIdentifier{oidDistributionPoints, oidFreshest} {
			e := cert.Extensions[0]
			e.Id, e.Value = id, der
			c.Extensions = append(c.Extensions, e)
		}
		readPoints(&c)
		freshest(&c)
		readIssuingPoint(der)
	})
}
