package certs

import (
	"crypto/sha1"
	"crypto/x509"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	for name, rid := range map[string]RecipientID{
		"issuer and serial":   {RawIssuer: ca.Root.RawSubject, Serial: append([]byte{0}, serial.Bytes()...)},
		"key identifier":      {SubjectKeyID: id.Certificate.SubjectKeyId},
		"computed identifier": {SubjectKeyID: computed[:]},
	} {
		got, err := k.Decryption(t.Context(), rid)
		if err != nil || len(got) != 1 || got[0] != id {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, rid := range map[string]RecipientID{
		"other issuer":    {RawIssuer: id.Certificate.RawSubject, Serial: append([]byte{0}, serial.Bytes()...)},
		"negative serial": {RawIssuer: ca.Root.RawSubject, Serial: serial.Bytes()},
		"nothing":         {},
	} {
		if got, _ := k.Decryption(t.Context(), rid); len(got) != 0 {
			t.Errorf("%s: found %v", name, got)
		}
	}
}

func write(t *testing.T, mode os.FileMode, data []byte, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.WriteFile(file, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpenIdentities(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	a := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@x.org"}}))
	b := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"b@x.org"}, Key: "rsa2048"}))
	c := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"c@x.org"}, Key: "ed25519"}))
	dir := t.TempDir()
	write(t, 0o600, testpki.Must(a.PKCS12("of a")), dir, "a.p12")
	write(t, 0o600, []byte("of a\n"), dir, "a.password")
	write(t, 0o600, testpki.Must(b.PKCS12("common")), dir, "b.pfx")
	write(t, 0o640, testpki.Must(c.PEM()), dir, "c.pem")
	write(t, 0o644, c.CertificatePEM(), dir, "public.pem")
	write(t, 0o644, []byte("no identity"), dir, "README")
	password := write(t, 0o600, []byte("common\n"), dir, "common")

	k, err := OpenIdentities(dir, password, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(k.Identities()); n != 3 {
		t.Errorf("%d identities", n)
	}
	for _, addr := range []string{"a@x.org", "b@x.org", "c@x.org"} {
		if id, err := k.Signing(t.Context(), mustAddress(t, addr)); id == nil || err != nil {
			t.Errorf("%s: %v, %v", addr, id, err)
		}
	}
	if _, err := OpenIdentities(dir, "", nil); err == nil || !strings.Contains(err.Error(), "b.pfx") || !strings.Contains(err.Error(), "password is wrong") {
		t.Errorf("without the common password: %v", err)
	}
}

func TestOpenIdentitiesRefuses(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{}))
	other := testpki.Must(ca.Issue(testpki.Leaf{}))
	p12 := testpki.Must(id.PKCS12("secret"))
	for name, c := range map[string]struct {
		file string
		mode os.FileMode
		data []byte
		want string
	}{
		"others read":    {"x.p12", 0o604, p12, "chmod 0600"},
		"group writes":   {"x.p12", 0o660, p12, "chmod 0600"},
		"pem for others": {"x.pem", 0o644, testpki.Must(id.PEM()), "chmod 0600"},
		"wrong password": {"x.p12", 0o600, p12, "password is wrong"},
		"truncated":      {"x.p12", 0o600, p12[:len(p12)/2], "PKCS #12"},
		"no pkcs12":      {"x.p12", 0o600, []byte("hello"), "PKCS #12"},
		"other's key":    {"x.pem", 0o600, append(testpki.Must(other.KeyPEM()), id.CertificatePEM()...), "belongs"},
		"endless":        {"x.p12", 0o600, []byte{0x30, 0x80, 0x02, 0x01, 0x03, 0x30, 0x80, 0, 0}, "truncated"},
		"empty":          {"x.p12", 0o600, nil, "PKCS #12"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, c.mode, c.data, dir, c.file)
			_, err := OpenIdentities(dir, "", nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Error("the error tells the password")
			}
		})
	}
	if _, err := OpenIdentities(filepath.Join(t.TempDir(), "absent"), "", nil); err == nil {
		t.Error("a folder that is not there was taken")
	}
	if _, err := OpenIdentities(t.TempDir(), write(t, 0o644, []byte("x"), t.TempDir(), "pw"), nil); err == nil {
		t.Error("a password file that others read was taken")
	}
}

func TestIdentityChain(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	id := testpki.Must(sub.Issue(testpki.Leaf{}))
	file := testpki.EncodeCertificates(root.Certificate, sub.Certificate, id.Certificate)
	file = append(testpki.Must(id.KeyPEM()), file...)
	contents, err := ParseContents(file, "")
	if err != nil || len(contents.Identities) != 1 {
		t.Fatal(contents, err)
	}
	got := contents.Identities[0]
	if !got.Certificate.Equal(id.Certificate) || len(got.Chain) != 1 || !got.Chain[0].Equal(sub.Certificate) {
		t.Errorf("certificate %v, chain %v", got.Certificate.Subject, got.Chain)
	}
}
