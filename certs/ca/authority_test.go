package ca_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/smime/address"
)

// validator is one that has been given the root only, as a partner has, and the
// lists; the issuing authority comes with the message.
func (w *world) validator(t *testing.T, crls ...[]byte) *path.Validator {
	t.Helper()
	v, err := path.NewValidator(path.Config{
		Anchors: []*x509.Certificate{w.pair.Root.Certificate}, CRLs: crls,
		Revocation: certs.RevocationRequire, Clock: func() time.Time { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func check(t *testing.T, v *path.Validator, id *certs.Identity, purpose certs.Purpose) certs.Verdict {
	t.Helper()
	return v.Check(t.Context(), id.Certificate, certs.Request{
		Purpose: purpose, Intermediates: id.Chain, Addresses: certs.Addresses(id.Certificate),
	})
}

// TestPartnersBelieve: with the root alone, and revocation required.
func TestPartnersBelieve(t *testing.T) {
	w := newWorld(t, "p384", ca.Multipurpose, "example.com")
	v := w.validator(t, crl(t, w.root), crl(t, w.issuing))
	for _, kind := range ca.Kinds {
		ids := w.issue(t, ca.Request{Address: parse(t, "Alice@Example.COM"), Key: kind})
		id := ids[0]
		for purpose, id := range map[certs.Purpose]*certs.Identity{certs.ForSigning: id, certs.ForEncryption: ids[len(ids)-1]} {
			if d := check(t, v, id, purpose); d.Result != certs.Pass || d.Revocation != "good" {
				t.Errorf("%s to %s: %+v", kind, purpose, d)
			}
		}
		if got := certs.Addresses(id.Certificate); len(got) != 1 || got[0].String() != "Alice@example.com" {
			t.Errorf("names %v", got)
		}
	}
	// Without the list of the root no validator knows about the issuing authority.
	id := w.issue(t, ca.Request{Address: parse(t, "alice@example.com")})[0]
	if d := check(t, w.validator(t, crl(t, w.issuing)), id, certs.ForSigning); d.Reason != certs.RevocationUnknown {
		t.Errorf("without the root's list: %+v", d)
	}
}

func TestSeparateKeysDoOneThingEach(t *testing.T) {
	w := newWorld(t, "p256", ca.Strict)
	v := w.validator(t, crl(t, w.root), crl(t, w.issuing))
	ids := w.issue(t, ca.Request{Address: parse(t, "jörg@example.com"), Separate: true})
	if len(ids) != 2 {
		t.Fatalf("%d identities", len(ids))
	}
	for i, want := range []map[certs.Purpose]certs.Reason{
		{certs.ForSigning: "", certs.ForEncryption: certs.WrongPurpose},
		{certs.ForSigning: certs.WrongPurpose, certs.ForEncryption: ""},
	} {
		for purpose, reason := range want {
			if d := check(t, v, ids[i], purpose); d.Reason != reason {
				t.Errorf("identity %d to %s: %+v", i, purpose, d)
			}
		}
	}
	if !ids[0].Chain[len(ids[0].Chain)-1].Equal(ids[1].Certificate) {
		t.Error("the certificate to encrypt to does not travel with signatures")
	}
}

// TestKeysAreReadable: where no kind is asked for, what partners encrypt to is
// RSA, which all of them can, and what only signs is P-256.
func TestKeysAreReadable(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	describe := func(id *certs.Identity) string {
		switch key := id.Certificate.PublicKey.(type) {
		case *rsa.PublicKey:
			return fmt.Sprintf("rsa%d", key.N.BitLen())
		case *ecdsa.PublicKey:
			return key.Params().Name
		}
		return "another"
	}
	for _, c := range []struct {
		key      string
		separate bool
		want     []string // the one that signs first
	}{
		{"", false, []string{"rsa3072"}},
		{ca.Auto, false, []string{"rsa3072"}},
		{ca.Auto, true, []string{"P-256", "rsa3072"}},
		{"", true, []string{"P-256", "rsa3072"}},
		{"p384", true, []string{"P-384", "P-384"}},
		{"rsa2048", true, []string{"rsa2048", "rsa2048"}},
	} {
		var got []string
		for _, id := range w.issue(t, ca.Request{Address: parse(t, "alice@example.com"), Key: c.key, Separate: c.separate}) {
			got = append(got, describe(id))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("key %q, separate %t: %v, want %v", c.key, c.separate, got, c.want)
		}
	}
}

func TestRevocation(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	good := w.issue(t, ca.Request{Address: parse(t, "alice@example.com")})[0]
	bad := w.issue(t, ca.Request{Address: parse(t, "mallory@example.com")})[0]
	before := crl(t, w.issuing)
	w.now = w.now.Add(time.Hour)
	after, err := w.issuing.Revoke(t.Context(), bad.Certificate, ca.KeyCompromise)
	if err != nil {
		t.Fatal(err)
	}
	v := w.validator(t, crl(t, w.root), before, after)
	if d := check(t, v, good, certs.ForSigning); d.Result != certs.Pass {
		t.Errorf("the other: %+v", d)
	}
	if d := check(t, v, bad, certs.ForSigning); d.Reason != certs.Revoked {
		t.Errorf("the revoked one: %+v", d)
	}
	kept, err := w.ledger.CRL(t.Context(), w.pair.Issuing.Certificate.RawSubject)
	if err != nil || string(kept) != string(after) {
		t.Errorf("the list was not kept: %v", err)
	}

	// The compromise of the gateway: the root takes the issuing authority back.
	lists, err := w.root.Revoke(t.Context(), w.pair.Issuing.Certificate, ca.CACompromise)
	if err != nil {
		t.Fatal(err)
	}
	if d := check(t, w.validator(t, lists, after), good, certs.ForSigning); d.Reason != certs.Revoked {
		t.Errorf("below a revoked authority: %+v", d)
	}
}

// TestLists: numbers grow, what has ended leaves, and no list outlives the
// authority.
func TestLists(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	id := w.issue(t, ca.Request{Address: parse(t, "alice@example.com"), Validity: 48 * time.Hour})[0]
	if _, err := w.issuing.Revoke(t.Context(), id.Certificate, ca.Superseded); err != nil {
		t.Fatal(err)
	}
	read := func(der []byte) *x509.RevocationList {
		t.Helper()
		l, err := x509.ParseRevocationList(der)
		if err != nil || l.CheckSignatureFrom(w.pair.Issuing.Certificate) != nil {
			t.Fatal(err)
		}
		return l
	}
	first := read(crl(t, w.issuing))
	if e := first.RevokedCertificateEntries; len(e) != 1 || e[0].ReasonCode != 4 || first.ThisUpdate.Before(e[0].RevocationTime) || first.ThisUpdate.After(w.now) {
		t.Errorf("%+v from %v", e, first.ThisUpdate)
	}
	if got := first.NextUpdate.Sub(w.now); got != 7*24*time.Hour {
		t.Errorf("good for %v", got)
	}
	w.now = id.Certificate.NotAfter.Add(time.Minute)
	if l := read(crl(t, w.issuing)); len(l.RevokedCertificateEntries) != 1 || l.Number.Cmp(first.Number) <= 0 {
		t.Errorf("number %v after %v, %d entries", l.Number, first.Number, len(l.RevokedCertificateEntries))
	}
	w.now = w.now.Add(30 * 24 * time.Hour)
	if l := read(crl(t, w.issuing)); len(l.RevokedCertificateEntries) != 0 {
		t.Error("what ended a month ago is still in the list")
	}
	w.now = w.pair.Issuing.Certificate.NotAfter.Add(-time.Hour)
	if l := read(crl(t, w.issuing)); l.NextUpdate.After(w.pair.Issuing.Certificate.NotAfter) {
		t.Error("a list outlives the authority")
	}
}

func TestValidity(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	end := w.pair.Issuing.Certificate.NotAfter
	for _, c := range []struct {
		name  string
		now   time.Time
		ask   time.Duration
		until time.Time // zero: refused
	}{
		{"a year", w.now, 0, w.now.Add(365*24*time.Hour - 1*time.Second)},
		{"the longest", w.now.Add(time.Hour), ca.MaxValidity, w.now.Add(time.Hour - 5*time.Minute + ca.MaxValidity - time.Second)},
		{"too long", w.now, ca.MaxValidity + 1, time.Time{}},
		{"negative", w.now, -1, time.Time{}},
		{"cut at the end of the authority", end.Add(-30 * 24 * time.Hour), 0, end},
		{"the authority has ended", end.Add(time.Second), 0, time.Time{}},
		{"the authority ends today", end.Add(-time.Hour), 0, time.Time{}},
		{"the authority has not begun", w.now.Add(-24 * time.Hour), 0, time.Time{}},
	} {
		w.now = c.now
		ids, err := w.issuing.Issue(t.Context(), ca.Request{Address: parse(t, "alice@example.com"), Validity: c.ask})
		switch {
		case c.until.IsZero() && err == nil:
			t.Errorf("%s: issued until %v", c.name, ids[0].Certificate.NotAfter)
		case !c.until.IsZero() && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case err == nil:
			// A certificate issued at once begins with its authority, later ones earlier.
			if d := ids[0].Certificate.NotAfter.Sub(c.until).Abs(); d > 5*time.Minute {
				t.Errorf("%s: until %v, want %v", c.name, ids[0].Certificate.NotAfter, c.until)
			}
			if v := ids[0].Certificate.NotAfter.Sub(ids[0].Certificate.NotBefore); v >= ca.MaxValidity {
				t.Errorf("%s: valid for %v", c.name, v)
			}
		}
	}
}

// TestWhatIsNotIssued: each with nothing in the ledger afterwards.
func TestWhatIsNotIssued(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose, "example.com", ".below.example")
	before := len(w.ledger.issued)
	for _, c := range []struct {
		request ca.Request
		want    string
	}{
		{ca.Request{}, "null sender"},
		{ca.Request{Address: parse(t, "x@[192.0.2.1]")}, "address literal"},
		{ca.Request{Address: parse(t, `"a b"@example.com`)}, "in quotes"},
		{ca.Request{Address: parse(t, "x@example.org")}, "may issue only for"},
		{ca.Request{Address: parse(t, "x@sub.example.com")}, "may issue only for"},
		{ca.Request{Address: parse(t, "x@below.example")}, "may issue only for"},
	} {
		if _, err := w.issuing.Issue(t.Context(), c.request); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.request.Address, err, c.want)
		}
	}
	if _, err := w.issuing.Issue(t.Context(), ca.Request{Address: parse(t, "x@a.below.example")}); err != nil {
		t.Error(err)
	}
	// What the ledger does not know of is not handed out.
	w.ledger.fail = errors.New("disk full")
	if ids, err := w.issuing.Issue(t.Context(), ca.Request{Address: parse(t, "x@example.com")}); err == nil || ids != nil {
		t.Errorf("issued without a note: %v", err)
	}
	if got := len(w.ledger.issued); got != before+1 {
		t.Errorf("%d certificates noted", got-before)
	}
}

func TestRevokingWhatIsNotOurs(t *testing.T) {
	w, other := newWorld(t, "p256", ca.Multipurpose), newWorld(t, "p384", ca.Multipurpose)
	id := other.issue(t, ca.Request{Address: parse(t, "alice@example.com")})[0]
	if _, err := w.issuing.Revoke(t.Context(), id.Certificate, ""); !errors.Is(err, errNotIssued) {
		t.Errorf("another authority's of the same name: %v", err)
	}
	if _, err := w.root.Revoke(t.Context(), id.Certificate, ""); err == nil {
		t.Error("the root revoked what the issuing authority issued")
	}
	own := w.issue(t, ca.Request{Address: parse(t, "alice@example.com")})[0]
	for _, reason := range []ca.Reason{"certificate-hold", ca.CACompromise} {
		if _, err := w.issuing.Revoke(t.Context(), own.Certificate, reason); err == nil {
			t.Errorf("revoked for %q", reason)
		}
	}
	if _, err := w.root.Revoke(t.Context(), w.pair.Issuing.Certificate, ""); err == nil {
		t.Error("an authority was revoked without a reason")
	}
}

func TestNewRefusesWhatCannotIssue(t *testing.T) {
	w, other := newWorld(t, "p256", ca.Multipurpose), newWorld(t, "p256", ca.Multipurpose)
	leaf := w.issue(t, ca.Request{Address: parse(t, "alice@example.com")})[0]
	good := w.issuing.Config
	for name, change := range map[string]func(*ca.Config){
		"no key":            func(c *ca.Config) { c.Key = nil },
		"no ledger":         func(c *ca.Config) { c.Ledger = nil },
		"another's key":     func(c *ca.Config) { c.Key = signer(t, other.pair.Issuing) },
		"not an authority":  func(c *ca.Config) { c.Certificate, c.Key = leaf.Certificate, signer(t, leaf) },
		"https":             func(c *ca.Config) { c.Place.URL = "https://pki.example.com/" },
		"no address":        func(c *ca.Config) { c.Place.URL = "" },
		"no name":           func(c *ca.Config) { c.Place.Name = "" },
		"a profile unheard": func(c *ca.Config) { c.Profile = "legacy" },
	} {
		c := good
		change(&c)
		if _, err := ca.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	good := ca.Plan{Organization: "Example", Country: "DE", URL: publishedAt, Key: "p256"}
	for name, change := range map[string]func(*ca.Plan){
		"no organization":   func(p *ca.Plan) { p.Organization = " " },
		"no country":        func(p *ca.Plan) { p.Country = "" },
		"a country's name":  func(p *ca.Plan) { p.Country = "Germany" },
		"small letters":     func(p *ca.Plan) { p.Country = "de" },
		"https":             func(p *ca.Plan) { p.URL = "https://pki.example.com" },
		"a key unheard of":  func(p *ca.Plan) { p.Key = "p521" },
		"a key that agrees": func(p *ca.Plan) { p.Key = "x25519" },
	} {
		p := good
		change(&p)
		if _, err := ca.Create(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	long := good
	long.Organization = strings.Repeat("Ä", 30)
	pair, err := ca.Create(long)
	if err != nil {
		t.Fatal(err)
	}
	if cn := pair.Root.Certificate.Subject.CommonName; len([]rune(cn)) > 64 {
		t.Errorf("common name of %d characters", len([]rune(cn)))
	}
}

func TestSerialsAreRandom(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	seen := map[string]bool{}
	for range 50 {
		n := w.issue(t, ca.Request{Address: parse(t, "alice@example.com")})[0].Certificate.SerialNumber
		if n.Sign() <= 0 || n.BitLen() != 127 || seen[n.String()] {
			t.Errorf("serial %x", n)
		}
		seen[n.String()] = true
	}
}

// TestLongAddresses: the subject has bounds, the alternative name has none.
func TestLongAddresses(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	domain := strings.Repeat("long.", 12) + "example.com"
	for _, text := range []string{"a@" + domain, "ä@" + domain} {
		c := w.issue(t, ca.Request{Address: parse(t, text)})[0].Certificate
		if got := certs.Addresses(c); len(got) != 1 || !got[0].Equal(parse(t, text), address.ExactCase) {
			t.Errorf("%q: names %v", text, got)
		}
		if c.Subject.CommonName != "" {
			t.Errorf("%q: common name %q", text, c.Subject.CommonName)
		}
	}
}

// TestGenerations: another issuing authority below the same root is trusted by whom
// has the root, publishes under names of its own, and what the one before issued is
// not touched until that is revoked.
func TestGenerations(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	before := w.issue(t, ca.Request{Address: parse(t, "alice@example.com")})[0]
	next, err := ca.CreateIssuing(ca.Plan{
		Organization: "Example GmbH", Country: "DE", URL: publishedAt, Key: "p256", Generation: 2, Clock: func() time.Time { return w.now },
	}, w.pair.Root)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ledger.Issued(t.Context(), next.Certificate); err != nil {
		t.Fatal(err)
	}
	lintCertificate(t, "issuing", next.Certificate.Raw)
	for cert, want := range map[*x509.Certificate]string{w.pair.Issuing.Certificate: "issuing", next.Certificate: "issuing-2", before.Certificate: "issuing"} {
		if got := ca.IssuingName(cert); got != want {
			t.Errorf("%s publishes as %q", cert.Subject, got)
		}
	}
	second := w.authority(t, next, ca.IssuingName(next.Certificate), ca.Multipurpose)
	ids, err := second.Issue(t.Context(), ca.Request{Address: parse(t, "alice@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	after := ids[0]
	if got := after.Certificate.CRLDistributionPoints; len(got) != 1 || got[0] != publishedAt+"issuing-2.crl" {
		t.Errorf("lists at %v", got)
	}
	verdicts := func(rootList []byte) [2]certs.Reason {
		v := w.validator(t, rootList, crl(t, w.issuing), crl(t, second))
		return [2]certs.Reason{check(t, v, before, certs.ForSigning).Reason, check(t, v, after, certs.ForSigning).Reason}
	}
	if got := verdicts(crl(t, w.root)); got != [2]certs.Reason{} {
		t.Errorf("%q", got)
	}
	list, err := w.root.Revoke(t.Context(), w.pair.Issuing.Certificate, ca.CACompromise)
	if err != nil {
		t.Fatal(err)
	}
	if got := verdicts(list); got != [2]certs.Reason{certs.Revoked, ""} {
		t.Errorf("after the revocation: %q", got)
	}
	w.now = w.pair.Root.Certificate.NotAfter.Add(-24 * time.Hour)
	if _, err := ca.CreateIssuing(ca.Plan{Organization: "X", Country: "DE", URL: publishedAt, Key: "p256", Clock: func() time.Time { return w.now }}, w.pair.Root); err == nil {
		t.Error("an authority below a root that ends tomorrow")
	}
}
