package test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

// authority is a deployment of a gateway with a built-in CA, which publishes
// on the gateway's admin address.
type authority struct {
	*deployment
	folder  string
	answers int
}

func openAuthority(t *testing.T) *authority {
	w := newWorld(t)
	relay, next, admin := loopback.FreePort(t), loopback.FreePort(t), loopback.FreePort(t)
	wiring := rig.Recipe(t, "toml relay", rig.Ports{"2525": relay, "10028": next}) + fmt.Sprintf(`
[admin]
address = "127.0.0.1:%d"

[ca]
url = "http://127.0.0.1:%[1]d/ca/"
organization = "Corp"
country = "DE"
max_per_hour = 2

[[rule]]
name = "issue"
recipient = ["issue.example"]
sign = "require"
encrypt = "never"
issue = true
`, admin)
	d := &deployment{world: w, outbound: local(relay), inbound: local(relay)}
	d.settings = w.config(wiring, queueIn(t))
	d.gateway = rig.StartGateway(t, program, d.settings, relay)
	d.sink = rig.StartSinkAt(t, local(next))
	return &authority{deployment: d, folder: t.TempDir()}
}

// openssl runs a partner's command in the partner's folder.
func (a *authority) openssl(args ...string) (string, error) {
	cmd := exec.Command("openssl", args...)
	cmd.Dir = a.folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("openssl %q: %w\n%s", args, err, out)
	}
	return string(out), err
}

func (a *authority) file(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.folder, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// signer has the partner verify a message with the root alone, and returns the
// certificate of who signed.
func (a *authority) signer(t *testing.T, message []byte, content string) *x509.Certificate {
	t.Helper()
	a.file(t, "signed.eml", message)
	if out, err := a.openssl("cms", "-verify", "-CAfile", "root.pem", "-purpose", "smimesign", "-in", "signed.eml",
		"-signer", "signer.pem", "-certsout", "chain.pem"); err != nil || !strings.Contains(out, content) {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := a.openssl("x509", "-in", "signer.pem", "-outform", "DER", "-out", "signer.cer"); err != nil {
		t.Fatal(out, err)
	}
	der, err := os.ReadFile(filepath.Join(a.folder, "signer.cer"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// checked has the partner fetch the revocation lists from where the certificates of
// the issuing authority and of the signer say, and check both.
func (a *authority) checked() error {
	check := []string{"verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "chain.pem", "-crl_check", "-crl_download"}
	if _, err := a.openssl(append(check, "issuing.pem")...); err != nil {
		return err
	}
	_, err := a.openssl(append(check, "-purpose", "smimesign", "signer.pem")...)
	return err
}

// TestAuthority: a sender without an identity gets one with the first message; a
// partner who was given the root trusts it and answers encrypted; what is
// revoked is revoked at once; and no client can fill the store.
func TestAuthority(t *testing.T) {
	a := openAuthority(t)
	m := newMail(t, norah, "bob@issue.example")
	want(t, a.send(t, m), m.to[0], "deferred") // there is no CA yet
	a.onlyTo(t, m)

	a.gateway.Run(t, "ca", "init", "--key", "rsa2048")
	a.gateway.WaitLog(t, "certificate store changed; changes applied", 1)
	a.file(t, "root.pem", []byte(a.gateway.Run(t, "ca", "export")))

	a.file(t, "issuing.pem", []byte(a.gateway.Run(t, "ca", "export", "--issuing")))

	explained := a.gateway.Run(t, "explain", "--from", norah, "--to", "bob@issue.example")
	if !strings.Contains(explained, "identity issued") {
		t.Errorf("explain does not tell:\n%s", explained)
	}
	if list := a.gateway.Run(t, "cert", "list", "--origin", "issued"); strings.Contains(list, norah) {
		t.Errorf("explain issued:\n%s", list)
	}

	m.id = "second." + m.id
	want(t, a.send(t, m), m.to[0], "accepted")
	first := a.signer(t, a.arrived(t, m, m.to[0]).Data, secret)
	if got := first.EmailAddresses; len(got) != 1 || got[0] != norah {
		t.Errorf("signed by %v", got)
	}
	if err := a.checked(); err != nil {
		t.Error(err)
	}
	m.id = "third." + m.id
	want(t, a.send(t, m), m.to[0], "accepted")
	if again := a.signer(t, a.arrived(t, m, m.to[0]).Data, secret); !again.Equal(first) {
		t.Error("a second message got another certificate")
	}
	a.answer(t)
	a.bounded(t)

	// A stolen key: revoked at once, and still good for what was encrypted to it.
	a.gateway.Run(t, "cert", "revoke", "--reason", "key-compromise", norah)
	if err := a.checked(); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("after the revocation: %v", err)
	}
	a.answer(t)
	if out := a.gateway.RunFails(t, 1, "ca", "init"); !strings.Contains(out, "there is already a CA") {
		t.Error(out)
	}
}

// answer: what the partner encrypts to the certificate that came with the
// signature is decrypted for its owner.
func (a *authority) answer(t *testing.T) {
	t.Helper()
	a.file(t, "answer.txt", []byte("Content-Type: text/plain\r\n\r\nthe answer\r\n"))
	sealed, err := a.openssl("cms", "-encrypt", "-aes256", "-in", "answer.txt", "signer.pem")
	if err != nil {
		t.Fatal(err)
	}
	a.answers++
	m := newMail(t, partner, norah)
	m.id = fmt.Sprintf("answer%d.%s", a.answers, m.id)
	m.entity = strings.ReplaceAll(strings.TrimPrefix(strings.ReplaceAll(sealed, "\r\n", "\n"), "MIME-Version: 1.0\n"), "\n", "\r\n")
	want(t, a.receive(t, m), norah, "accepted")
	if got := a.arrived(t, m, norah); !bytes.Contains(got.Data, []byte("the answer")) {
		t.Errorf("not decrypted:\n%s", got.Data)
	}
}

// bounded: a client that writes in many names gets no more certificates than
// per_hour says; mail in the other names waits.
func (a *authority) bounded(t *testing.T) {
	t.Helper()
	accepted := 0
	for i := range 5 {
		m := newMail(t, fmt.Sprintf("made.up%d@corp.example", i), "bob@issue.example")
		m.id = fmt.Sprintf("made%d.%s", i, m.id)
		if a.send(t, m)[m.to[0]].word == "accepted" {
			accepted++
		}
	}
	if accepted != 1 { // norah had the other one
		t.Errorf("%d of 5 made-up senders got a certificate", accepted)
	}
}
