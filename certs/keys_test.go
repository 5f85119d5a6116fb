package certs

import (
	"crypto/sha1"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

func identity(t *testing.T, ca *testpki.CA, l testpki.Leaf) *Identity {
	t.Helper()
	return (*Identity)(testpki.Must(ca.Issue(l)))
}

func TestKeysNewestValidSigns(t *testing.T) {
	now := time.Now()
	ca := testpki.Must(testpki.NewCA(testpki.Options{NotBefore: now.Add(-1000 * time.Hour)}))
	leaf := func(from, to time.Duration, edit func(*testpki.Leaf)) *Identity {
		l := testpki.Leaf{Addresses: []string{"a@x.org"}, NotBefore: now.Add(from), NotAfter: now.Add(to)}
		if edit != nil {
			edit(&l)
		}
		return identity(t, ca, l)
	}
	old := leaf(-100*time.Hour, time.Hour, nil)
	newest := leaf(-10*time.Hour, 2*time.Hour, nil)
	future := leaf(time.Hour, 100*time.Hour, nil)
	encrypts := leaf(-time.Hour, 100*time.Hour, func(l *testpki.Leaf) { l.KeyUsage = x509.KeyUsageKeyAgreement })
	agrees := leaf(-time.Hour, 100*time.Hour, func(l *testpki.Leaf) { l.Key = "x25519" })
	clock := now
	k := NewKeys(func() time.Time { return clock }, old, future, newest, encrypts, agrees)
	for _, c := range []struct {
		at   time.Duration
		addr string
		want *Identity
	}{
		{0, "A@X.ORG", newest}, {-50 * time.Hour, "a@x.org", old}, {90 * time.Minute, "a@x.org", future},
		{200 * time.Hour, "a@x.org", nil}, {0, "b@x.org", nil},
	} {
		clock = now.Add(c.at)
		got, err := k.Signing(t.Context(), mustAddress(t, c.addr))
		if err != nil || got != c.want {
			t.Errorf("at %v for %s: %v, %v", c.at, c.addr, got, err)
		}
	}
}

func TestKeysUnderExactLocalParts(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := identity(t, ca, testpki.Leaf{Addresses: []string{"Alice@x.org"}})
	k := NewKeys(nil, id).WithLocalPart(address.ExactCase)
	if got, _ := k.Signing(t.Context(), mustAddress(t, "Alice@X.org")); got != id {
		t.Error("not found")
	}
	if got, _ := k.Signing(t.Context(), mustAddress(t, "alice@x.org")); got != nil {
		t.Error("another local part may sign")
	}
}

func TestKeysDecryptByEveryIdentifier(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	now := time.Now()
	serial, _ := new(big.Int).SetString("80ffffffffffffffff", 16)
	id := identity(t, ca, testpki.Leaf{Serial: serial, NotBefore: now.Add(-2 * time.Minute), NotAfter: now.Add(-time.Minute)})
	other := identity(t, ca, testpki.Leaf{})
	k := NewKeys(nil, other, id)
	info, _ := pkix.ReadKeyInfo(id.Certificate.RawSubjectPublicKeyInfo)
	computed := sha1.Sum(info.Bits)
	for name, rid := range map[string]cms.ID{
		"issuer and serial":   {RawIssuer: ca.Root.RawSubject, Serial: append([]byte{0}, serial.Bytes()...)},
		"key identifier":      {SubjectKeyID: id.Certificate.SubjectKeyId},
		"computed identifier": {SubjectKeyID: computed[:]},
	} {
		got, err := k.Decryption(t.Context(), rid)
		if err != nil || len(got) != 1 || got[0] != id {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, rid := range map[string]cms.ID{
		"other issuer":    {RawIssuer: id.Certificate.RawSubject, Serial: append([]byte{0}, serial.Bytes()...)},
		"negative serial": {RawIssuer: ca.Root.RawSubject, Serial: serial.Bytes()},
		"nothing":         {},
	} {
		if got, _ := k.Decryption(t.Context(), rid); len(got) != 0 {
			t.Errorf("%s: found %v", name, got)
		}
	}
}

func mustAddress(t *testing.T, s string) address.Address {
	t.Helper()
	return testpki.Must(address.Parse(s))
}
