package smime

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// openssl makes a message in a way that this package does not write any more.
func openssl(t testing.TB, id *certs.Identity, args ...string) *message.Message {
	t.Helper()
	return opensslOf(t, id, "meet at ten\r\n", args...)
}

// opensslOf is openssl for a text.
func opensslOf(t testing.TB, id *certs.Identity, text string, args ...string) *message.Message {
	t.Helper()
	file := filepath.Join(t.TempDir(), "id.pem")
	if err := os.WriteFile(file, testpki.Must((*testpki.Identity)(id).PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	if args[0] == "-sign" {
		args = append([]string{"-sign", "-signer", file}, args[1:]...)
	} else {
		args = append(args, file)
	}
	cmd := exec.Command("openssl", append([]string{"cms", "-binary", "-crlfeol"}, args...)...)
	cmd.Stdin = bytes.NewReader([]byte("Content-Type: text/plain\r\n\r\n" + text))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %v: %v", args, err)
	}
	return withHeader(t, out)
}

// What is old is read where the configuration says so, each kind by its own word.
func TestOldSignatures(t *testing.T) {
	w := newWorld(t)
	short := w.issue("alice@example.org", "rsa1024")
	all := func(o *OpenOptions) { o.AllowSHA1, o.AllowRSA1024, o.AllowBare = true, true, true }
	for name, tt := range map[string]struct {
		m      *message.Message
		reason certs.Reason
		allow  func(*OpenOptions)
		passes certs.Reason // the reason of the pass
	}{
		"sha-1":           {openssl(t, w.alice, "-sign", "-md", "sha1"), "weak-signature", func(o *OpenOptions) { o.AllowSHA1 = true }, ""},
		"short key":       {openssl(t, short, "-sign"), "weak-signature", func(o *OpenOptions) { o.AllowRSA1024 = true }, ""},
		"bare":            {openssl(t, w.alice, "-sign", "-noattr"), "no-signed-attributes", func(o *OpenOptions) { o.AllowBare = true }, "no-signed-attributes"},
		"bare, opaque":    {openssl(t, w.alice, "-sign", "-noattr", "-nodetach"), "no-signed-attributes", func(o *OpenOptions) { o.AllowBare = true }, "no-signed-attributes"},
		"everything":      {openssl(t, short, "-sign", "-noattr", "-md", "sha1"), "weak-signature", all, "no-signed-attributes"},
		"PSS, mask SHA-1": {openssl(t, w.alice, "-sign", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1"), "", func(*OpenOptions) {}, ""},
	} {
		o := w.options()
		if name != "PSS, mask SHA-1" {
			expect(t, Open(context.Background(), tt.m, o), certs.PolicyNo, tt.reason)
		}
		tt.allow(&o)
		opened := Open(context.Background(), tt.m, o)
		expect(t, opened, certs.Pass, tt.passes)
		changed := bytes.Replace(tt.m.Bytes(), []byte("meet at ten"), []byte("meet at six"), 1)
		if !bytes.Equal(changed, tt.m.Bytes()) {
			if r := Open(context.Background(), parse(t, string(changed)), o).Report; r.Result != certs.Fail {
				t.Errorf("%s, changed: %+v", name, r)
			}
		}
	}
	both := openssl(t, short, "-sign", "-md", "sha1")
	for _, allow := range []func(*OpenOptions){func(o *OpenOptions) { o.AllowSHA1 = true }, func(o *OpenOptions) { o.AllowRSA1024 = true }} {
		o := w.options()
		allow(&o)
		expect(t, Open(context.Background(), both, o), certs.PolicyNo, "weak-signature")
	}
}

// The reason why something stays closed is the true one.
func TestOldEncryption(t *testing.T) {
	w := newWorld(t)
	short := w.issue("old@example.org", "rsa1024")
	for name, tt := range map[string]struct {
		m      *message.Message
		id     *certs.Identity
		result certs.Result
		reason certs.Reason
		opens  bool
	}{
		"3des":         {openssl(t, w.alice, "-encrypt", "-des3", "-recip"), w.alice, certs.PolicyNo, "weak-cipher", true},
		"short key":    {openssl(t, short, "-encrypt", "-aes256", "-recip"), short, certs.PolicyNo, "weak-cipher", true},
		"other cipher": {openssl(t, w.alice, "-encrypt", "-camellia128", "-recip"), w.alice, certs.PermError, "unsupported-algorithm", false},
		"another's":    {openssl(t, w.alice, "-encrypt", "-des3", "-recip"), w.bob, certs.None, "no-key", false},
	} {
		o := w.options(tt.id)
		opened := Open(context.Background(), tt.m, o)
		expect(t, opened, tt.result, tt.reason)
		if opened.Decrypted {
			t.Errorf("%s: decrypted", name)
		}
		o.AllowWeak = true
		if opened = Open(context.Background(), tt.m, o); opened.Decrypted != tt.opens {
			t.Errorf("%s, weak allowed: %+v", name, opened.Report)
		}
	}
}

// A certificate that the message does not bring is looked up (RFC 8550 section
// 2.3), in both forms of signature.
func TestSignersHeldElsewhere(t *testing.T) {
	w := newWorld(t)
	stranger := w.issue("alice@example.org", "rsa2048")
	known := []*x509.Certificate{w.bob.Certificate, stranger.Certificate, w.alice.Certificate}
	asked := 0
	finds := func(list []*x509.Certificate, err error) SignerLookup {
		return func(_ context.Context, id cms.ID, author address.Address) ([]*x509.Certificate, error) {
			asked++
			if author.String() != "alice@example.org" || !id.Matches(w.alice.Certificate) {
				t.Errorf("asked for %+v of %s", id, author)
			}
			return list, err
		}
	}
	for _, form := range [][]string{{"-sign", "-nocerts"}, {"-sign", "-nocerts", "-nodetach"}, {"-sign", "-nocerts", "-keyid"}} {
		m := openssl(t, w.alice, form...)
		o := w.options()
		expect(t, Open(context.Background(), m, o), certs.PermError, "no-certificate")
		o.Signers = finds(known, nil)
		expect(t, Open(context.Background(), m, o), certs.Pass, "")
		o.Signers = finds(known[:2], nil)
		expect(t, Open(context.Background(), m, o), certs.PermError, "no-certificate")
		o.Signers = finds(nil, errors.New("the directory is silent"))
		expect(t, Open(context.Background(), m, o), certs.TempError, "no-certificate")
	}
	before := asked
	o := w.options()
	o.Signers = finds(known, nil)
	expect(t, Open(context.Background(), openssl(t, w.alice, "-sign"), o), certs.Pass, "")
	if asked != before {
		t.Error("looked up though the message brings it")
	}
}
