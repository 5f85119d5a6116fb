package path

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// newValidator returns a validator that trusts the roots and asks no server.
func newValidator(t *testing.T, cfg Config, roots ...*testpki.CA) *Validator {
	t.Helper()
	for _, r := range roots {
		cfg.Anchors = append(cfg.Anchors, r.Root)
	}
	if cfg.Revocation == "" {
		cfg.Revocation = certs.RevocationOff
	}
	v, err := NewValidator(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustAddress(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestValidChain(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root", Key: "rsa2048"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	id := testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}}))
	r := certs.Request{Purpose: certs.ForSigning, Addresses: []address.Address{mustAddress(t, "Alice@EXAMPLE.org")}}

	v := newValidator(t, Config{}, root)
	if got := v.Check(t.Context(), id.Certificate, r); got.Result != certs.Fail || got.Reason != certs.Untrusted || got.ChainState != "untrusted" {
		t.Errorf("without the intermediate: %+v", got)
	}
	hinted := r
	hinted.Intermediates = id.Chain
	got := v.Check(t.Context(), id.Certificate, hinted)
	if got.Result != certs.Pass || got.Reason != "" || got.ChainState != "trusted" || got.Revocation != "unchecked" {
		t.Errorf("with it in the message: %+v", got)
	}
	if want := []*x509.Certificate{id.Certificate, sub.Certificate, root.Certificate}; !slices.EqualFunc(got.Chain, want, (*x509.Certificate).Equal) {
		t.Errorf("chain %v", got.Chain)
	}
	v = newValidator(t, Config{Intermediates: id.Chain}, root)
	if got := v.Check(t.Context(), id.Certificate, r); got.Result != certs.Pass {
		t.Errorf("with it in the store: %+v", got)
	}
}

// TestRefusals holds one certificate for every way to be refused that a leaf
// alone can show.
func TestRefusals(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa2048"}))
	stranger := testpki.Must(testpki.NewCA(testpki.Options{}))
	now := time.Now()
	addr := []string{"alice@example.org"}
	for _, c := range []struct {
		name    string
		leaf    testpki.Leaf
		purpose certs.Purpose
		want    certs.Reason
	}{
		{"good", testpki.Leaf{Addresses: addr}, certs.ForEncryption, ""},
		{"expired", testpki.Leaf{Addresses: addr, NotAfter: now.Add(-time.Minute)}, certs.ForSigning, certs.Expired},
		{"early", testpki.Leaf{Addresses: addr, NotBefore: now.Add(time.Hour)}, certs.ForSigning, certs.NotYetValid},
		{"other address", testpki.Leaf{Addresses: []string{"bob@example.org"}}, certs.ForSigning, certs.WrongAddress},
		{"no address", testpki.Leaf{}, certs.ForSigning, certs.WrongAddress},
		{"blank in the address", testpki.Leaf{Addresses: []string{"alice@example.org "}}, certs.ForSigning, certs.WrongAddress},
		{"server", testpki.Leaf{Addresses: addr, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, certs.ForSigning, certs.WrongPurpose},
		{"any purpose", testpki.Leaf{Addresses: addr, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}, certs.ForSigning, ""},
		{"no purpose", testpki.Leaf{Addresses: addr, ExtKeyUsage: []x509.ExtKeyUsage{}}, certs.ForSigning, ""},
		{"signing only", testpki.Leaf{Addresses: addr, KeyUsage: x509.KeyUsageDigitalSignature}, certs.ForEncryption, certs.WrongPurpose},
		{"encryption only", testpki.Leaf{Addresses: addr, KeyUsage: x509.KeyUsageKeyAgreement}, certs.ForSigning, certs.WrongPurpose},
		{"rsa agreement", testpki.Leaf{Addresses: addr, Key: "rsa2048", KeyUsage: x509.KeyUsageKeyAgreement}, certs.ForEncryption, certs.WrongPurpose},
		{"ec encipherment", testpki.Leaf{Addresses: addr, KeyUsage: x509.KeyUsageKeyEncipherment}, certs.ForEncryption, certs.WrongPurpose},
		{"non-repudiation", testpki.Leaf{Addresses: addr, KeyUsage: x509.KeyUsageContentCommitment}, certs.ForSigning, ""},
		{"no key usage", testpki.Leaf{Addresses: addr, KeyUsage: testpki.NoKeyUsage}, certs.ForEncryption, ""},
		{"ed25519 encrypts nothing", testpki.Leaf{Addresses: addr, Key: "ed25519", KeyUsage: testpki.NoKeyUsage}, certs.ForEncryption, certs.WrongPurpose},
		{"ed25519 signs", testpki.Leaf{Addresses: addr, Key: "ed25519"}, certs.ForSigning, ""},
		{"x25519 signs nothing", testpki.Leaf{Addresses: addr, Key: "x25519", KeyUsage: testpki.NoKeyUsage}, certs.ForSigning, certs.WrongPurpose},
		{"x25519 encrypts", testpki.Leaf{Addresses: addr, Key: "x25519"}, certs.ForEncryption, ""},
		{"key usage without a bit", testpki.Leaf{Addresses: addr, KeyUsage: testpki.NoKeyUsage, Edit: func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 7, 0}})
		}}, certs.ForSigning, certs.WrongPurpose},
		{"rsa 1024", testpki.Leaf{Addresses: addr, Key: "rsa1024"}, certs.ForSigning, certs.WeakKey},
		{"p-224", testpki.Leaf{Addresses: addr, Key: "p224"}, certs.ForSigning, certs.WeakKey},
		{"sha-1", testpki.Leaf{Addresses: addr, Signature: x509.SHA1WithRSA}, certs.ForSigning, certs.WeakSignature},
		{"pss", testpki.Leaf{Addresses: addr, Signature: x509.SHA256WithRSAPSS}, certs.ForSigning, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := testpki.Must(root.Issue(c.leaf))
			v := newValidator(t, Config{}, root)
			r := certs.Request{Purpose: c.purpose, Addresses: []address.Address{mustAddress(t, "alice@example.org")}}
			got := v.Check(t.Context(), id.Certificate, r)
			if got.Reason != c.want || (got.Result == certs.Pass) != (c.want == "") || got.Result != c.want.Result() {
				t.Errorf("%s %s: %s; want %q", got.Result, got.Reason, got.Detail, c.want)
			}
			v = newValidator(t, Config{}, stranger)
			if got := v.Check(t.Context(), id.Certificate, r); got.Result == certs.Pass || got.ChainState != "untrusted" {
				t.Errorf("without trust: %+v", got)
			}
		})
	}
}

func TestTimeOfJudgement(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(root.Issue(testpki.Leaf{NotAfter: time.Now().Add(time.Hour)}))
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	v := newValidator(t, Config{Clock: later}, root)
	if got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning}); got.Reason != certs.Expired {
		t.Errorf("by the clock: %+v", got)
	}
	if got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, At: time.Now()}); got.Result != certs.Pass {
		t.Errorf("at the time asked for: %+v", got)
	}
}

func TestForgedSignatureIsNotTrusted(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	forger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	id := testpki.Must(forger.Issue(testpki.Leaf{}))
	v := newValidator(t, Config{}, root)
	got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: []*x509.Certificate{forger.Root}})
	if got.Reason != certs.BadSignature || got.ChainState != "untrusted" {
		t.Errorf("%+v", got)
	}
}

func TestAuthoritiesMustBeAuthorities(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	for _, c := range []struct {
		name string
		o    testpki.Options
		want certs.Reason
	}{
		{"good", testpki.Options{}, ""},
		{"no authority", testpki.Options{Edit: func(c *x509.Certificate) { c.IsCA = false; c.MaxPathLen = 0 }}, certs.NotAnAuthority},
		{"no basic constraints", testpki.Options{Edit: func(c *x509.Certificate) { c.BasicConstraintsValid = false }}, certs.NotAnAuthority},
		{"key usage", testpki.Options{Edit: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }}, certs.NotAnAuthority},
		{"for servers", testpki.Options{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, certs.WrongPurpose},
		{"expired", testpki.Options{NotAfter: time.Now().Add(-time.Minute)}, certs.Expired},
		{"names permitted", testpki.Options{PermittedEmails: []string{"example.org"}}, ""},
		{"names not permitted", testpki.Options{PermittedEmails: []string{"example.com"}}, certs.NameConstraint},
		{"names excluded", testpki.Options{ExcludedEmails: []string{"example.org"}}, certs.NameConstraint},
		{"mailbox excluded", testpki.Options{ExcludedEmails: []string{"alice@example.org"}}, certs.NameConstraint},
		{"mailbox permitted", testpki.Options{PermittedEmails: []string{"alice@example.org"}}, ""},
		{"subdomains permitted", testpki.Options{PermittedEmails: []string{".example.org"}}, certs.NameConstraint},
		{"weak", testpki.Options{Key: "rsa1024"}, certs.WeakKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Name = "Sub"
			sub := testpki.Must(root.Intermediate(c.o))
			id := testpki.Must(sub.Issue(testpki.Leaf{
				Addresses: []string{"alice@example.org"}, NotAfter: time.Now().Add(time.Hour),
			}))
			v := newValidator(t, Config{Intermediates: id.Chain}, root)
			got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning})
			if got.Reason != c.want {
				t.Errorf("%s %s: %s; want %q", got.Result, got.Reason, got.Detail, c.want)
			}
		})
	}
}

func TestPathLength(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{PathLen: 1}))
	direct := testpki.Must(root.Issue(testpki.Leaf{}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	below := testpki.Must(sub.Issue(testpki.Leaf{}))
	v := newValidator(t, Config{Intermediates: below.Chain}, root)
	if got := v.Check(t.Context(), direct.Certificate, certs.Request{Purpose: certs.ForSigning}); got.Result != certs.Pass {
		t.Errorf("directly below: %+v", got)
	}
	if got := v.Check(t.Context(), below.Certificate, certs.Request{Purpose: certs.ForSigning}); got.Reason != certs.PathLength {
		t.Errorf("two below: %+v", got)
	}
}

func TestSecondPathIsTaken(t *testing.T) {
	old := testpki.Must(testpki.NewCA(testpki.Options{Name: "Old"}))
	sub := testpki.Must(testpki.NewCA(testpki.Options{Name: "Sub"}))
	expired := testpki.Must(old.CrossSign(sub, testpki.Options{NotAfter: time.Now().Add(-time.Minute)}))
	good := testpki.Must(old.CrossSign(sub, testpki.Options{}))
	id := testpki.Must(sub.Issue(testpki.Leaf{}))
	v := newValidator(t, Config{}, old)
	for _, hints := range [][]*x509.Certificate{{expired, good}, {good, expired}, {sub.Root, expired, good}} {
		if got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: hints}); got.Result != certs.Pass {
			t.Errorf("%d hints: %+v", len(hints), got)
		}
	}
	v = newValidator(t, Config{}, old) // one that remembers no path
	if got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: []*x509.Certificate{expired}}); got.Reason != certs.Expired {
		t.Errorf("the expired one alone: %+v", got)
	}
}

func TestAnchorThatIsNoAuthorityIsTrustedForItself(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}}))
	v := newValidator(t, Config{Anchors: []*x509.Certificate{id.Certificate}, Revocation: certs.RevocationRequire})
	r := certs.Request{Purpose: certs.ForSigning, Addresses: []address.Address{mustAddress(t, "a@x.org")}}
	if got := v.Check(t.Context(), id.Certificate, r); got.Result != certs.Pass || len(got.Chain) != 1 {
		t.Errorf("%+v", got)
	}
	other := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}}))
	if got := v.Check(t.Context(), other.Certificate, r); got.Reason != certs.Untrusted {
		t.Errorf("another certificate: %+v", got)
	}
}

func TestConfiguration(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Key: "rsa1024", Signature: x509.SHA1WithRSA}))
	id := testpki.Must(root.Issue(testpki.Leaf{Key: "rsa1024", Signature: x509.SHA1WithRSA, Addresses: []string{"A@x.org"}}))
	v := newValidator(t, Config{AllowSHA1: true, AllowRSA1024: true, LocalPart: address.ExactCase}, root)
	r := certs.Request{Purpose: certs.ForSigning, Addresses: []address.Address{mustAddress(t, "A@X.org")}}
	if got := v.Check(t.Context(), id.Certificate, r); got.Result != certs.Pass {
		t.Errorf("what is allowed: %+v", got)
	}
	r.Addresses = []address.Address{mustAddress(t, "a@x.org")}
	if got := v.Check(t.Context(), id.Certificate, r); got.Reason != certs.WrongAddress {
		t.Errorf("exact local part: %+v", got)
	}
	if _, err := NewValidator(Config{Revocation: "perhaps"}); err == nil {
		t.Error("an unknown revocation mode was taken")
	}
}

func TestRevocationLists(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	good := testpki.Must(sub.Issue(testpki.Leaf{}))
	bad := testpki.Must(sub.Issue(testpki.Leaf{}))
	ofRoot := testpki.Must(root.CRL(testpki.CRL{}))
	ofSub := testpki.Must(sub.CRL(testpki.CRL{Revoked: []*x509.Certificate{bad.Certificate}}))
	subRevoked := testpki.Must(root.CRL(testpki.CRL{Revoked: []*x509.Certificate{sub.Certificate}}))
	stale := testpki.Must(sub.CRL(testpki.CRL{ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: time.Now().Add(-24 * time.Hour)}))
	forger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Sub"}))
	forged := testpki.Must(forger.CRL(testpki.CRL{}))

	check := func(cert *x509.Certificate, mode certs.RevocationMode, crls, inMessage [][]byte) certs.Verdict {
		v := newValidator(t, Config{Intermediates: good.Chain, CRLs: crls, Revocation: mode}, root)
		return v.Check(t.Context(), cert, certs.Request{Purpose: certs.ForSigning, CRLs: inMessage})
	}
	for _, c := range []struct {
		name       string
		cert       *x509.Certificate
		mode       certs.RevocationMode
		crls       [][]byte
		inMessage  [][]byte
		want       certs.Reason
		revocation string
	}{
		{"good", good.Certificate, certs.RevocationRequire, [][]byte{ofRoot, ofSub}, nil, "", "good"},
		{"from the message", good.Certificate, certs.RevocationRequire, [][]byte{ofRoot}, [][]byte{[]byte("no list"), ofSub}, "", "good"},
		{"revoked", bad.Certificate, certs.RevocationPrefer, [][]byte{ofRoot, ofSub}, nil, certs.Revoked, "revoked"},
		{"authority revoked", good.Certificate, certs.RevocationRequire, [][]byte{subRevoked, ofSub}, nil, certs.Revoked, "revoked"},
		{"no list, required", good.Certificate, certs.RevocationRequire, [][]byte{ofRoot}, nil, certs.NoRevocationInfo, "unknown"},
		{"no list, preferred", good.Certificate, certs.RevocationPrefer, nil, nil, "", "unknown"},
		{"no list, off", bad.Certificate, certs.RevocationOff, [][]byte{ofRoot, ofSub}, nil, "", "unchecked"},
		{"stale", good.Certificate, certs.RevocationRequire, [][]byte{ofRoot, stale}, nil, certs.RevocationUnknown, "unknown"},
		{"forged", good.Certificate, certs.RevocationRequire, [][]byte{ofRoot}, [][]byte{forged}, certs.NoRevocationInfo, "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := check(c.cert, c.mode, c.crls, c.inMessage)
			if got.Reason != c.want || got.Revocation != c.revocation || got.Result != c.want.Result() {
				t.Errorf("%s %s %s: %s", got.Result, got.Reason, got.Revocation, got.Detail)
			}
			if got.ChainState != "trusted" {
				t.Errorf("chain %s", got.ChainState)
			}
		})
	}
}

func TestExceptions(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	id := testpki.Must(sub.Issue(testpki.Leaf{}))
	now := time.Now()
	of := func(c *x509.Certificate, allow bool, until time.Duration) []Exception {
		e := Exception{SHA256: sha256.Sum256(c.Raw), Allow: allow, Note: "says the note"}
		if until != 0 {
			e.Until = now.Add(until)
		}
		return []Exception{e}
	}
	for _, c := range []struct {
		name       string
		trusted    bool
		exceptions []Exception
		want       certs.Reason
		chain      int
	}{
		{"none", true, nil, "", 3},
		{"leaf blocked", true, of(id.Certificate, false, 0), certs.Blocked, 1},
		{"leaf blocked and unknown", false, of(id.Certificate, false, 0), certs.Blocked, 1},
		{"authority blocked", true, of(sub.Certificate, false, time.Hour), certs.Blocked, 3},
		{"anchor blocked", true, of(root.Certificate, false, 0), certs.Blocked, 3},
		{"block over", true, of(sub.Certificate, false, -time.Hour), "", 3},
		{"leaf allowed", false, of(id.Certificate, true, 0), "", 1},
		{"authority allowed", false, of(sub.Certificate, true, time.Hour), "", 2},
		{"allowance over", false, of(id.Certificate, true, -time.Hour), certs.Untrusted, 2},
		{"allowed and blocked", false, append(of(id.Certificate, true, 0), of(id.Certificate, false, 0)...), certs.Blocked, 1},
	} {
		cfg := Config{Exceptions: c.exceptions, Revocation: certs.RevocationOff}
		if c.trusted {
			cfg.Anchors = []*x509.Certificate{root.Root}
		}
		v := newValidator(t, cfg)
		got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: id.Chain})
		if got.Reason != c.want || len(got.Chain) != c.chain {
			t.Errorf("%s: %s, chain of %d: %s", c.name, got.Reason, len(got.Chain), got.Detail)
		}
		// A pass that rests on an allowance is none for longer than that.
		if ends := c.name == "authority allowed"; ends != !got.Until.IsZero() || ends && !got.Until.Equal(c.exceptions[0].Until) {
			t.Errorf("%s: until %s", c.name, got.Until)
		}
		if c.want == certs.Blocked && !strings.Contains(got.Detail, "says the note") {
			t.Errorf("%s: detail %q", c.name, got.Detail)
		}
	}
}

func TestRememberedPathIsJudgedAgain(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	id := testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}, NotAfter: time.Now().Add(time.Hour)}))
	clock := time.Now()
	v := newValidator(t, Config{Clock: func() time.Time { return clock }}, root)
	r := certs.Request{Purpose: certs.ForSigning, Intermediates: id.Chain}
	if got := v.Check(t.Context(), id.Certificate, r); got.Result != certs.Pass {
		t.Fatalf("%+v", got)
	}
	other := r
	other.Addresses = []address.Address{mustAddress(t, "b@x.org")}
	if got := v.Check(t.Context(), id.Certificate, other); got.Reason != certs.WrongAddress {
		t.Errorf("for another address: %+v", got)
	}
	revoked := r
	revoked.Revocation = certs.RevocationPrefer
	revoked.CRLs = [][]byte{testpki.Must(sub.CRL(testpki.CRL{Revoked: []*x509.Certificate{id.Certificate}}))}
	if got := v.Check(t.Context(), id.Certificate, revoked); got.Reason != certs.Revoked {
		t.Errorf("revoked: %+v", got)
	}
	if got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForEncryption}); got.Result != certs.Pass {
		t.Errorf("for another purpose, without the intermediate: %+v", got)
	}
	clock = clock.Add(2 * time.Hour)
	if got := v.Check(t.Context(), id.Certificate, r); got.Reason != certs.Expired {
		t.Errorf("later: %+v", got)
	}
}

func TestPathAroundARevokedAuthority(t *testing.T) {
	a := testpki.Must(testpki.NewCA(testpki.Options{Name: "A"}))
	b := testpki.Must(testpki.NewCA(testpki.Options{Name: "B"}))
	sub := testpki.Must(testpki.NewCA(testpki.Options{Name: "Sub"}))
	fromA, fromB := testpki.Must(a.CrossSign(sub, testpki.Options{})), testpki.Must(b.CrossSign(sub, testpki.Options{}))
	id := testpki.Must(sub.Issue(testpki.Leaf{}))
	crls := [][]byte{
		testpki.Must(a.CRL(testpki.CRL{Revoked: []*x509.Certificate{fromA}})),
		testpki.Must(b.CRL(testpki.CRL{})), testpki.Must(sub.CRL(testpki.CRL{})),
	}
	v := newValidator(t, Config{CRLs: crls, Revocation: certs.RevocationRequire}, a, b)
	r := certs.Request{Purpose: certs.ForSigning, Intermediates: []*x509.Certificate{fromA, fromB}}
	for range 2 {
		got := v.Check(t.Context(), id.Certificate, r)
		if got.Result != certs.Pass || !got.Chain[2].Equal(b.Root) {
			t.Errorf("%+v", got)
		}
	}
	r.Intermediates = r.Intermediates[:1]
	v = newValidator(t, Config{CRLs: crls, Revocation: certs.RevocationRequire}, a, b)
	if got := v.Check(t.Context(), id.Certificate, r); got.Reason != certs.Revoked {
		t.Errorf("by the revoked one alone: %+v", got)
	}
}

// TestNamesakeDoesNotSpeakForAnAuthority holds that an authority below the same
// anchor cannot publish lists in the name of another.
func TestNamesakeDoesNotSpeakForAnAuthority(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	victim := testpki.Must(root.Intermediate(testpki.Options{Name: "Victim"}))
	rogue := testpki.Must(root.Intermediate(testpki.Options{Name: "Rogue"}))
	namesake := testpki.Must(rogue.Intermediate(testpki.Options{Name: "Victim"}))
	child := testpki.Must(namesake.Intermediate(testpki.Options{Name: "Victim"}))
	id := testpki.Must(victim.Issue(testpki.Leaf{}))
	var crls [][]byte
	for _, ca := range []*testpki.CA{root, rogue, namesake, child} {
		crls = append(crls, testpki.Must(ca.CRL(testpki.CRL{})))
	}
	v := newValidator(t, Config{CRLs: crls, Revocation: certs.RevocationRequire}, root)
	r := certs.Request{Purpose: certs.ForSigning, Intermediates: []*x509.Certificate{
		victim.Certificate, rogue.Certificate, namesake.Certificate, child.Certificate,
	}}
	if got := v.Check(t.Context(), id.Certificate, r); got.Reason != certs.RevocationUnknown {
		t.Errorf("%+v", got)
	}
	// A second certificate of the authority itself does.
	other := testpki.Must(victim.Intermediate(testpki.Options{Name: "Victim"}))
	r.CRLs = [][]byte{testpki.Must(other.CRL(testpki.CRL{})), testpki.Must(victim.CRL(testpki.CRL{
		Number: big.NewInt(2), NextUpdate: time.Now().Add(time.Hour),
	}))}
	r.Intermediates = append(r.Intermediates, other.Certificate)
	if got := v.Check(t.Context(), id.Certificate, r); got.Result != certs.Pass {
		t.Errorf("%+v", got)
	}
}

// A name that was meant as an address and is none is what the owner of the
// certificate has to mend.
func TestWrongAddressNamesWhatIsNoAddress(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{}))
	v := newValidator(t, Config{}, root)
	for want, names := range map[string][]string{
		`it names no address, not "alice@example.org"`:                                                            {},
		`it names no address (the name "mailto:alice@example.org" is not an address), not "alice@example.org"`:    {"mailto:alice@example.org"},
		`it names "b@x.org" (the name "Alice <alice@example.org>" is not an address), not "alice@example.org"`:    {"Alice <alice@example.org>", "b@x.org"},
		`it names no address (the name "alice@example.org\x00.x.org" is not an address), not "alice@example.org"`: {"alice@example.org\x00.x.org"},
		`it names "a@x.org", "b@x.org", "c@x.org" and 1 more, not "alice@example.org"`:                            {"a@x.org", "b@x.org", "c@x.org", "d@x.org"},
	} {
		id := testpki.Must(root.Issue(testpki.Leaf{Addresses: names}))
		r := certs.Request{Purpose: certs.ForSigning, Addresses: []address.Address{mustAddress(t, "alice@example.org")}}
		if got := v.Check(t.Context(), id.Certificate, r); got.Reason != certs.WrongAddress || !strings.HasSuffix(got.Detail, want) {
			t.Errorf("%q: %s", names, got.Detail)
		}
	}
}

func TestExplanationsStayShort(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{}))
	many := testpki.Leaf{Name: strings.Repeat("å", 5000)}
	for i := range 10_000 {
		many.Addresses = append(many.Addresses, fmt.Sprintf("a%d@x.org", i))
	}
	id := testpki.Must(root.Issue(many))
	v := newValidator(t, Config{}, root)
	got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Addresses: []address.Address{mustAddress(t, "b@x.org")}})
	if got.Reason != certs.WrongAddress || len(got.Detail) > 600 || !utf8.ValidString(got.Detail) || !strings.Contains(got.Detail, "9997 more") {
		t.Errorf("%q: %d octets: %q", got.Reason, len(got.Detail), got.Detail)
	}
	if got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning, Addresses: []address.Address{mustAddress(t, "a9999@x.org")}}); got.Result != certs.Pass {
		t.Errorf("the last of many: %+v", got)
	}
}
