package directory

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestFilesAreFoundByTheirAddresses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := newFakeClock()
	alice, bobs := issue(t, "alice@example.org", 0), issue(t, bob, 0)
	put := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		clock.advance(rescanAfter)
	}
	put("alice.pem", testpki.EncodeCertificates(alice))
	put("README", []byte("not a certificate"))
	f, err := newFiles("partners", dir, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	check := func(step, address string, want ...*x509.Certificate) {
		t.Helper()
		got, err := f.Find(t.Context(), addr(t, address))
		if err != nil || !slices.EqualFunc(got.Certificates, want, (*x509.Certificate).Equal) {
			t.Errorf("%s: %s: got %d, want %d, %v", step, address, len(got.Certificates), len(want), err)
		}
	}
	check("pem", "Alice@Example.org", alice)
	check("pem", bob)
	before := f.Version()
	put("bob.der", bobs.Raw)
	if f.Version() == before {
		t.Error("an added file is not noticed")
	}
	check("added", bob, bobs)
	put("chain.p7b", []byte(bundle(t, testCA().Certificate)))
	check("hints", bob, bobs, testCA().Certificate)
	check("hints alone are no answer", "absent@example.org")
	put("broken.pem", []byte("-----BEGIN CERTIFICATE-----\nMII\n"))
	check("broken", bob, bobs, testCA().Certificate)
	if p := f.Problems(); len(p) != 1 || !strings.Contains(p[0].Error(), "broken.pem") {
		t.Errorf("problems with the broken file: %v", p)
	}
	if found, err := f.Find(t.Context(), addr(t, "absent@example.org")); err != nil || len(found.Notes) != 1 || !strings.Contains(found.Notes[0], "broken.pem") {
		t.Errorf("an address that no file names: %v, %v", found.Notes, err)
	}
	if found, err := f.Find(t.Context(), addr(t, "Alice@Example.org")); err != nil || len(found.Notes) != 0 {
		t.Errorf("an address that a file names: %v, %v", found.Notes, err)
	}
	if err := os.Remove(filepath.Join(dir, "bob.der")); err != nil {
		t.Fatal(err)
	}
	clock.advance(rescanAfter)
	check("removed", bob)
}

func TestFilesThatCanNotBeReadAreUnknown(t *testing.T) {
	t.Parallel()
	if _, err := NewFiles("x", filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent folder is accepted")
	}
	dir := filepath.Join(t.TempDir(), "certs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	clock := newFakeClock()
	f, err := newFiles("x", dir, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	clock.advance(rescanAfter)
	if got, err := f.Find(t.Context(), addr(t, bob)); err == nil {
		t.Errorf("the folder is gone, got %v", got)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	clock.advance(rescanAfter)
	if got, err := f.Find(t.Context(), addr(t, bob)); err != nil {
		t.Errorf("the folder is back, got %v, %v", got, err)
	}
	if err := os.Symlink("absent", filepath.Join(dir, "bob.pem")); err != nil {
		t.Fatal(err)
	}
	clock.advance(rescanAfter)
	if got, err := f.Find(t.Context(), addr(t, bob)); err == nil {
		t.Errorf("a file can not be read, got %v", got)
	}
}
