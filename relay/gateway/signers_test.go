package gateway

import (
	"context"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
)

// opensslLetter is a message from bob to alice that openssl cms makes, with the
// identity's file as the last argument.
func (w *world) opensslLetter(id *certs.Identity, args ...string) *message.Message {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "id.pem")
	if err := os.WriteFile(file, testpki.Must((*testpki.Identity)(id).PEM()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("openssl", append(append([]string{"cms"}, args...), file)...)
	cmd.Stdin = strings.NewReader("Content-Type: text/plain\r\n\r\n" + text + "\r\n")
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("openssl %v: %v", args, err)
	}
	return parseMessage(w.t, "From: Bob <bob@enc.example>\nTo: alice@own.example\nSubject: hello\nDate: Thu, 1 Jan 2026 09:00:00 +0000\n"+strings.ReplaceAll(string(out), "\r\n", "\n"))
}

func (w *world) their(addr string) *certs.Identity {
	w.t.Helper()
	id, err := w.theirs.Signing(context.Background(), w.addr(addr))
	if err != nil || id == nil {
		w.t.Fatal(err)
	}
	return id
}

// A signer's certificate that the message does not bring is found where the
// gateway knows it.
func TestSignerKnownElsewhere(t *testing.T) {
	w := newWorld(t)
	id := w.their(bob)
	letter := w.opensslLetter(id, "-sign", "-nocerts", "-signer")
	status := func() string { return w.receive(letter).Get(statusField) }

	found := directory.Result{Outcome: directory.None, Candidates: []directory.Candidate{
		{Certificate: w.their(carol).Certificate}, {Certificate: id.Certificate}}}
	w.dir.results[bob] = found // as one that cannot be encrypted to
	if got := status(); !strings.HasPrefix(got, "pass") {
		t.Errorf("in a directory: %s", got)
	}
	w.dir.results[bob] = directory.Result{Outcome: directory.None}
	if got := status(); !strings.HasPrefix(got, "permerror") || !strings.Contains(got, "reason=no-certificate") {
		t.Errorf("nowhere: %s", got)
	}
	w.dir.results[bob] = directory.Result{Outcome: directory.Unknown, Answers: []directory.Answer{{Source: "fake", Err: errSilent}}}
	if got := status(); !strings.HasPrefix(got, "temperror") || !strings.Contains(got, "reason=no-certificate") {
		t.Errorf("the directory is silent: %s", got)
	}
	w.config.Keys = certs.NewKeys(nil, id)
	w.start()
	if got := status(); !strings.HasPrefix(got, "pass") {
		t.Errorf("one of the gateway's identities: %s", got)
	}
	w.config.Keys = w.keys
	w.config.Checker = testpki.Must(path.NewValidator(path.Config{
		Anchors: []*x509.Certificate{w.ca.Root}, Intermediates: []*x509.Certificate{id.Certificate}, Revocation: certs.RevocationOff}))
	w.start()
	if got := status(); !strings.HasPrefix(got, "pass") {
		t.Errorf("in the configuration: %s", got)
	}
}

// Old mail is decrypted for recipients whose profiles read it, and only for them.
func TestWeakEncryptionByProfile(t *testing.T) {
	w := newWorld(t)
	amy := w.issue("amy@own.example")
	alice, err := w.keys.Signing(context.Background(), w.addr("alice@own.example"))
	if err != nil {
		t.Fatal(err)
	}
	w.config.Keys = certs.NewKeys(nil, alice, amy)
	w.config.Profiles = map[string]Profile{"old": {MinimumCipher: "3des"}, "strict": {MinimumCipher: "aes-128"}}
	w.config.Policy = testpki.Must(enforce.Compile([]enforce.Rule{
		{Name: "archive", Direction: "inbound", Recipient: []string{"alice@own.example"}, Profile: "old"},
		{Name: "default", Sign: "never", Encrypt: "never", Profile: "strict"},
	}))
	w.start()
	read := func(letter *message.Message) map[string]bool {
		o, err := w.process(w.envelope("in", bob, "alice@own.example", "amy@own.example"), letter)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, d := range o.Deliveries {
			for _, r := range d.Recipients {
				got[r.Address.Local()] = strings.Contains(string(d.Message.Bytes()), text)
			}
		}
		return got
	}
	if got := read(w.opensslLetter(alice, "-encrypt", "-des3")); !got["alice"] || got["amy"] {
		t.Errorf("3des to alice: %v", got)
	}
	if got := read(w.opensslLetter(amy, "-encrypt", "-des3")); got["alice"] || got["amy"] {
		t.Errorf("3des to amy: %v", got)
	}
	if got := read(w.opensslLetter(amy, "-encrypt", "-aes256")); got["alice"] || !got["amy"] {
		t.Errorf("aes to amy: %v", got)
	}
}

// What [trust] allows counts for the signatures of messages.
func TestOldSignaturesByConfiguration(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		args  []string
		allow func(*Inbound)
	}{
		"sha-1":         {[]string{"-md", "sha1"}, func(i *Inbound) { i.AllowSHA1 = true }},
		"no attributes": {[]string{"-noattr"}, func(i *Inbound) { i.AllowNoAttributes = true }},
	} {
		letter := w.opensslLetter(w.their(bob), append(append([]string{"-sign"}, tt.args...), "-signer")...)
		w.config.Inbound = Inbound{Verify: true, Decrypt: true}
		w.start()
		if got := statusWord(w.receive(letter)); got != "policy" {
			t.Errorf("%s: %s", name, got)
		}
		tt.allow(&w.config.Inbound)
		w.start()
		if got := statusWord(w.receive(letter)); got != "pass" {
			t.Errorf("%s, allowed: %s", name, got)
		}
	}
}
