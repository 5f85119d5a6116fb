package ca_test

import (
	"crypto/sha1"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// newPublicWorld is a world whose authorities publish on a web server.
func newPublicWorld(t *testing.T, key string, profile ca.Profile, domains ...string) *world {
	t.Helper()
	var w *world
	mux := http.NewServeMux()
	serve := func(name string, content func() []byte) {
		mux.HandleFunc("GET /"+name, func(rw http.ResponseWriter, _ *http.Request) {
			if _, err := rw.Write(content()); err != nil {
				t.Error(err)
			}
		})
	}
	serve("root.crl", func() []byte { return crl(t, w.root) })
	serve("issuing.crl", func() []byte { return crl(t, w.issuing) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	w = newWorldAt(t, s.URL+"/", key, profile, domains...)
	return w
}

func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install %s", name, pkg)
	}
	return path
}

func try(dir string, env []string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %q: %w\n%s", filepath.Base(program), args, err, out)
	}
	return string(out), err
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOpenSSLAccepts: strictly, with the lists of both authorities, for both
// purposes; and not what is revoked.
func TestOpenSSLAccepts(t *testing.T) {
	w := newWorld(t, "p384", ca.Strict, "example.com")
	openssl, dir := tool(t, "openssl", "openssl"), t.TempDir()
	write(t, filepath.Join(dir, "root.pem"), testpki.EncodeCertificates(w.pair.Root.Certificate))
	write(t, filepath.Join(dir, "issuing.pem"), testpki.EncodeCertificates(w.pair.Issuing.Certificate))
	verify := func(id *certs.Identity, purpose string) error {
		write(t, filepath.Join(dir, "lists.pem"), slices.Concat(testpki.EncodeCRL(crl(t, w.root)), testpki.EncodeCRL(crl(t, w.issuing))))
		write(t, filepath.Join(dir, "leaf.pem"), testpki.EncodeCertificates(id.Certificate))
		_, err := try(dir, nil, openssl, "verify", "-x509_strict", "-purpose", purpose, "-crl_check_all",
			"-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", "lists.pem",
			"-verify_email", "alice@example.com", "leaf.pem")
		return err
	}
	for _, kind := range otherKinds() {
		isRSA := strings.HasPrefix(kind, "rsa")
		dual := w.issue(t, ca.Request{Address: parse(t, "alice@example.com"), Key: kind})[0]
		pair := w.issue(t, ca.Request{Address: parse(t, "alice@example.com"), Key: kind, Separate: true})
		for _, c := range []struct {
			id      *certs.Identity
			purpose string
			good    bool
		}{
			{dual, "smimesign", true}, {pair[0], "smimesign", true}, {pair[1], "smimesign", false},
			// OpenSSL's purpose asks for keyEncipherment, which BR 7.1.2.3 e forbids with
			// EC keys: what it encrypts to them is right all the same, and so is RSA.
			{dual, "smimeencrypt", isRSA}, {pair[1], "smimeencrypt", isRSA}, {pair[0], "smimeencrypt", false},
		} {
			err := verify(c.id, c.purpose)
			if (err == nil) != c.good {
				t.Errorf("%s, %s: %v", kind, c.purpose, err)
			}
		}
		if _, err := w.issuing.Revoke(t.Context(), dual.Certificate, ca.Superseded); err != nil {
			t.Fatal(err)
		}
		if err := verify(dual, "smimesign"); err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("%s, revoked: %v", kind, err)
		}
	}
}

// TestNSSAccepts: as Thunderbird, which is given the root alone.
func TestNSSAccepts(t *testing.T) {
	w := newWorld(t, "p256", ca.Multipurpose)
	certutil, crlutil, dir := tool(t, "certutil", "libnss3-tools"), tool(t, "crlutil", "libnss3-tools"), t.TempDir()
	do := func(program string, args ...string) error {
		_, err := try(dir, nil, program, append([]string{"-d", "sql:" + dir}, args...)...)
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add := func(name, trust string, cert *x509.Certificate) {
		t.Helper()
		write(t, filepath.Join(dir, name), cert.Raw)
		must(do(certutil, "-A", "-n", name, "-t", trust, "-i", name))
	}
	lists := func() {
		t.Helper()
		for name, der := range map[string][]byte{"root.crl": crl(t, w.root), "issuing.crl": crl(t, w.issuing)} {
			write(t, filepath.Join(dir, name), der)
			must(do(crlutil, "-I", "-i", name, "-t", "1"))
		}
	}
	must(do(certutil, "-N", "--empty-password"))
	add("root", ",C,", w.pair.Root.Certificate)
	add("issuing", ",,", w.pair.Issuing.Certificate)
	lists()
	for _, kind := range otherKinds() {
		dual := w.issue(t, ca.Request{Address: parse(t, kind+"@example.com"), Key: kind})[0]
		pair := w.issue(t, ca.Request{Address: parse(t, kind+".pair@example.com"), Key: kind, Separate: true})
		for i, id := range []*certs.Identity{dual, pair[0], pair[1]} {
			name := fmt.Sprintf("%s-%d", kind, i)
			add(name, ",,", id.Certificate)
			for usage, without := range map[string]int{"S": 2, "R": 1} {
				if i == without {
					continue // NSS is not strict about EC keys
				}
				if err := do(certutil, "-V", "-e", "-u", usage, "-n", name); err != nil {
					t.Errorf("%s for %s: %v", name, usage, err)
				}
			}
		}
		if _, err := w.issuing.Revoke(t.Context(), dual.Certificate, ca.KeyCompromise); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(10 * time.Minute) // NSS takes a list for an old one unless it is later
	lists()
	if err := do(certutil, "-V", "-e", "-u", "S", "-n", "p256-0"); err == nil {
		t.Error("NSS accepts a revoked certificate")
	}
}

// gnupg is a home of gpgsm in which the root is trusted, and nothing else known.
func (w *world) gnupg(t *testing.T) (verify func(text string, id *certs.Identity) error) {
	t.Helper()
	gpgsm := tool(t, "gpgsm", "gpgsm")
	tool(t, "dirmngr", "dirmngr")
	// The agent's socket path holds 108 octets at most.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := try(home, nil, "gpgconf", "--homedir", home, "--kill", "all"); err != nil {
			t.Error(err)
		}
		os.RemoveAll(home)
	})
	write(t, filepath.Join(home, "gpgsm.conf"), []byte("batch\nno-tty\nenable-crl-checks\n"))
	write(t, filepath.Join(home, "trustlist.txt"), fmt.Appendf(nil, "%X S\n", sha1.Sum(w.pair.Root.Certificate.Raw)))
	write(t, filepath.Join(home, "root.pem"), testpki.EncodeCertificates(w.pair.Root.Certificate))
	run := func(args ...string) error {
		_, err := try(home, []string{"GNUPGHOME=" + home, "LC_ALL=C"}, gpgsm, args...)
		return err
	}
	if err := run("--import", "root.pem"); err != nil {
		t.Fatal(err)
	}
	return func(text string, id *certs.Identity) error {
		m, err := message.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := smime.Sign(m, id, smime.SignOptions{Opaque: true, Time: w.now})
		if err != nil {
			t.Fatal(err)
		}
		object, err := signed.Root().Decode()
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(home, "signed.p7m"), object)
		return run("--verify", "signed.p7m")
	}
}

// TestGnuPGAccepts: gpgsm is given the root, finds the issuing authority in the
// message, and fetches the lists of both from where they are published. The
// authorities have RSA keys: the dirmngr of GnuPG 2.2 reads no list that is signed
// with ECDSA.
func TestGnuPGAccepts(t *testing.T) {
	const text = "From: alice@example.com\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
	for _, c := range []struct {
		key     string
		domains []string
	}{{"p256", nil}, {"rsa2048", []string{"example.com"}}} {
		w := newPublicWorld(t, "rsa2048", ca.Multipurpose, c.domains...)
		id := w.issue(t, ca.Request{Address: parse(t, "alice@example.com"), Key: c.key})[0]
		verify := w.gnupg(t)
		if err := verify(text, id); err != nil {
			t.Errorf("%s: %v", c.key, err)
		}
		if _, err := w.issuing.Revoke(t.Context(), id.Certificate, ca.KeyCompromise); err != nil {
			t.Fatal(err)
		}
		verify = w.gnupg(t) // who has fetched no list yet
		if err := verify(text, id); err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("%s, revoked: %v", c.key, err)
		}
	}
}
