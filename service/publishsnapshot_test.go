package service

import (
	"context"
	"crypto/x509"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestTokenThatIsAwayEmptiesNothing: what a token holds is not known while it is away, so that
// what was published before stays.
func TestTokenThatIsAwayEmptiesNothing(t *testing.T) {
	chain, key, trusted := tlsFiles(t)
	text := publishConfig(storedConfig, `name = "web"
to = "https"
address = "127.0.0.1:0"
tls_certificate = "`+chain+`"
tls_key = "`+key+`"`)
	w := startWorld(t, text)
	alice := w.identity(w.open(w.storeFile()), "alice@example.org")
	w.log.wait(t, "published=1")
	_, port, _ := strings.Cut(w.address("[publish:web]"), ":")
	source := testpki.Must(directory.NewHTTPS(directory.HTTPSConfig{Name: "self", URL: "https://localhost:" + port + "/.well-known/smime-certificates?address={addr}", CA: trusted}))
	defer source.Close()
	wantFound(t, source, "alice@example.org", alice)

	away := testpki.Must(exec.LookPath("false")) // a helper that ends at once
	w.reload(strings.Replace(text, "[trust]", "[identities]\ntokens = [\"pkcs11:token=gateway?module-path=/usr/lib/absent.so\"]\ntoken_helper = \""+away+"\"\n[trust]", 1), "msg=reloaded")
	w.log.wait(t, "certificates to publish could not be read")
	wantFound(t, source, "alice@example.org", alice)
	if n := w.log.count("msg=\"certificates published\""); n != 2 { // none at the start, and alice
		t.Errorf("%d changes of what is published", n)
	}
	w.stop()
}

// TestRevocationOutlivesItsClient: a revocation that has begun is recorded, and gets on the list,
// whether or not the client still waits.
func TestRevocationOutlivesItsClient(t *testing.T) {
	w := startWorld(t, withAuthority())
	e := &estWorld{world: w, store: w.open(w.storeFile())}
	e.ca()
	authorities := testpki.Must(OpenAuthorities(t.Context(), e.parsed(), e.store, w.now))
	bob := testpki.Must(authorities.Issuing.Issue(t.Context(), ca.Request{Address: testpki.Must(address.Parse("bob@example.org"))}))[0]
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := authorities.Revoke(gone, bob.Certificate, ca.Superseded); err != nil {
		t.Fatal(err)
	}
	files := testpki.Must(authorities.files(t.Context()))
	found := false
	for _, f := range files {
		found = found || f.mediaType == typeCRL && lists(t, f.content, bob.Certificate)
	}
	if !found {
		t.Error("it is on no list")
	}
	w.stop()
}

// lists reports whether a CRL has a certificate.
func lists(t *testing.T, der []byte, c *x509.Certificate) bool {
	t.Helper()
	list := testpki.Must(x509.ParseRevocationList(der))
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(c.SerialNumber) == 0 })
}
