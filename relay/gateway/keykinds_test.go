package gateway

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
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

// newRSA is a world in which alice and bob have RSA keys of 2048 bits, and carol one of
// 3072 besides her other one.
func newRSA(t *testing.T, p Profile) *world {
	t.Helper()
	w := newWorld(t)
	of := func(a, key string) *certs.Identity {
		return (*certs.Identity)(testpki.Must(w.ca.Issue(testpki.Leaf{Addresses: []string{a}, Key: key})))
	}
	found := func(ids ...*certs.Identity) directory.Result {
		r := directory.Result{Outcome: directory.Usable}
		for _, id := range ids {
			r.Certificates = append(r.Certificates, id.Certificate)
			r.Candidates = append(r.Candidates, directory.Candidate{Certificate: id.Certificate, Verdict: certs.Verdict{Result: certs.Pass}})
		}
		return r
	}
	w.keys = certs.NewKeys(time.Now, of("alice@own.example", "rsa2048"))
	w.config.Keys = w.keys
	short, long, larger := of(bob, "rsa2048"), of(carol, "rsa2048"), of(carol, "rsa3072")
	w.theirs = certs.NewKeys(time.Now, short, larger)
	w.dir.results[bob], w.dir.results[carol] = found(short), found(long, larger)
	w.config.Profiles = map[string]Profile{enforce.DefaultProfile: p}
	w.start()
	return w
}

// TestMinimumOfRecipients: a recipient whose RSA keys are too short counts as one
// without a certificate, and explain says so; of several, those that are long enough
// are encrypted to.
func TestMinimumOfRecipients(t *testing.T) {
	w := newRSA(t, Profile{MinimumRSA: 3000})
	w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{{Name: "default", Sign: "never", Encrypt: "require"}}))
	w.start()
	o, err := w.send(bob, carol)
	if err != nil {
		t.Fatal(err)
	}
	const why = "its RSA key has 2048 bits, and 3000 are the least"
	if len(o.Refused) != 1 || !strings.Contains(o.Refused[0].Err.Error(), why) {
		t.Errorf("refused %+v", o.Refused)
	}
	if len(o.Deliveries) != 1 || o.Deliveries[0].Recipients[0].Address.String() != carol {
		t.Fatalf("sent %+v", o.Deliveries)
	}
	if e := w.read(o.Deliveries[0].Message); !e.Decrypted || e.Report.Encryption.Recipients != 1 {
		t.Errorf("encrypted as %+v", e.Report)
	}
	x := w.explain("alice@own.example", bob, carol)
	if r := x.Recipients[0]; r.Outcome != "refused" || !strings.Contains(r.Reply, why) || len(r.Candidates) != 1 || r.Candidates[0].Used {
		t.Errorf("explained as %+v", r)
	}
	if r := x.Recipients[1]; r.Outcome != "encrypted" || len(r.Candidates) != 2 || r.Candidates[0].Used || !r.Candidates[1].Used {
		t.Errorf("explained as %+v", r)
	}
}

// TestMinimumOfIdentity: the own identity does not sign by a profile that wants a
// longer key, and explain gives the reply that the message gets.
func TestMinimumOfIdentity(t *testing.T) {
	w := newRSA(t, Profile{MinimumRSA: 3000})
	const why = "451 4.7.0 the profile \"default\" does not allow the certificate of \"alice@own.example\": its RSA key has 2048 bits, and 3000 are the least"
	o, err := w.send("x@sign.example")
	if err == nil || w.gateway.replyText(err) != why {
		t.Errorf("sent %+v, %v", o, err)
	}
	x := w.explain("alice@own.example", "x@sign.example")
	if r := x.Recipients[0]; x.Refused != why || r.Outcome != "deferred" || r.Reply != why || r.Copy != 0 {
		t.Errorf("explained as %+v", x)
	}
}

// TestMinimumOfOwnCertificate: what a rule adds to the certificates of the recipients
// is held to the same minimum.
func TestMinimumOfOwnCertificate(t *testing.T) {
	w := newRSA(t, Profile{MinimumRSA: 3000})
	w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{{Name: "default", Sign: "never", Encrypt: "require", AlsoEncryptTo: []string{bob}}}))
	w.start()
	if o, err := w.send(carol); err == nil || !strings.Contains(w.gateway.replyText(err), "550 5.7.1 the profile \"default\" does not allow the certificate of \"bob@enc.example\"") {
		t.Errorf("sent %+v, %v", o, err)
	}
}

// TestInboundKeys: what is signed by, or reached the gateway by, a key that the profile
// of an inbound rule does not allow does not pass.
func TestInboundKeys(t *testing.T) {
	cnsa2 := []string{"ml-dsa-87", "ml-kem-1024"}
	for name, tt := range map[string]struct {
		profile   Profile
		encrypted bool
		want      string
	}{
		"kind of signer":   {Profile{Keys: cnsa2}, false, "the signer's key is rsa"},
		"kind of reader":   {Profile{Keys: cnsa2}, true, "it is encrypted by rsa-pkcs1"},
		"size of reader":   {Profile{MinimumRSA: 3000}, true, "the recipient's RSA key has 2048 bits"},
		"size of signer":   {Profile{MinimumRSA: 3000}, false, "the signer's RSA key has 2048 bits"},
		"other kinds":      {Profile{Keys: []string{"rsa"}}, true, ""},
		"the least allows": {Profile{MinimumRSA: 2048}, true, ""},
	} {
		w := newRSA(t, tt.profile)
		w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{{Name: "in", Direction: "inbound", Profile: enforce.DefaultProfile}, {Name: "default", Sign: "never", Encrypt: "never"}}))
		w.start()
		m := w.bobsLetter("")
		if tt.encrypted {
			m = w.toAlice(m)
		}
		x, err := w.gateway.Explain(t.Context(), w.envelope("in", bob, "alice@own.example"), m)
		if err != nil || len(x.Inbound) != 1 {
			t.Fatalf("%s: %+v, %v", name, x, err)
		}
		want, report := "pass", x.Inbound[0].Report
		if tt.want != "" {
			want = "policy"
		}
		if !strings.HasPrefix(report.Detail, tt.want) || string(report.Result) != want {
			t.Errorf("%s: %+v", name, report)
		}
		got := w.receive(m)
		if statusWord(got) != want || strings.Contains(got.Get(statusField), "reason=below-minimum") != (tt.want != "") {
			t.Errorf("%s: %s", name, got.Get(statusField))
		}
	}
}
