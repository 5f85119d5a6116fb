package gateway

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// newTransition is a world in which bob has an ML-KEM certificate besides his other one.
func newTransition(t *testing.T, p Profile) *world {
	t.Helper()
	w := newWorld(t)
	key := testpki.Must(pkix.GenerateKEM("ML-KEM-768"))
	kem := testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{bob}, PrivateKey: key,
		PublicKeyInfo: testpki.Must(pkix.MarshalKeyInfo(key.Public())), KeyUsage: x509.KeyUsageKeyEncipherment}))
	r := w.dir.results[bob]
	r.Certificates = append(r.Certificates, testpki.Must(pkix.ParseCertificate(kem.Certificate.Raw)))
	w.dir.results[bob] = r
	w.config.Profiles = map[string]Profile{enforce.DefaultProfile: p}
	w.start()
	return w
}

// TestHybrid: a recipient in transition gets the content key by both certificates, or
// by the quantum-safe one alone.
func TestHybrid(t *testing.T) {
	for _, tt := range []struct {
		profile Profile
		want    int
	}{{Profile{Hybrid: true}, 2}, {Profile{}, 1}, {Profile{Hybrid: true, Keys: []string{"ml-kem-768", "ec", "rsa"}}, 2}, {Profile{Keys: []string{"ec", "rsa"}}, 1}} {
		o, err := newTransition(t, tt.profile).send(bob)
		if err != nil {
			t.Fatal(err)
		}
		e := newWorld(t).read(o.Deliveries[0].Message).Report.Encryption
		if e == nil || e.Recipients != tt.want {
			t.Errorf("%+v: encrypted as %+v, want %d recipients", tt.profile, e, tt.want)
		}
	}
}

// TestKeyKinds: a recipient with keys that the profile does not allow has none, and the
// refusal says which they are.
func TestKeyKinds(t *testing.T) {
	o, err := newTransition(t, Profile{Keys: []string{"ml-kem-1024"}}).send(bob)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Deliveries) != 0 || len(o.Refused) != 1 || !strings.Contains(o.Refused[0].Err.Error(), "the profile wants ml-kem-1024") {
		t.Errorf("sent %+v, refused %+v", o.Deliveries, o.Refused)
	}
}

// TestSigningKeyKinds: an identity that the profile does not allow does not sign.
func TestSigningKeyKinds(t *testing.T) {
	w := newWorld(t)
	w.config.Profiles = map[string]Profile{enforce.DefaultProfile: {Keys: []string{"ml-dsa-87"}}}
	w.start()
	if o, err := w.send("x@sign.example"); err == nil || !strings.Contains(err.Error(), "ml-dsa-87") {
		t.Errorf("sent %+v, %v", o, err)
	}
}

// TestUnansweredKeyKinds: while a source does not answer, it may have the certificate
// that the profile wants.
func TestUnansweredKeyKinds(t *testing.T) {
	w := newTransition(t, Profile{})
	r := w.dir.results[bob]
	r.Answers = []directory.Answer{{Source: "ldap", Err: errors.New("no answer")}}
	if got := (Profile{Keys: []string{"ml-kem-1024"}}).usable(r); got.Outcome != directory.Unknown {
		t.Errorf("outcome %v", got.Outcome)
	}
}
