package main

import (
	"bytes"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Why nothing was decrypted is named by its reason, and what has none that is known
// here is not said to be unencrypted.
func TestNotDecrypted(t *testing.T) {
	encryption := &smime.Encryption{Cipher: "aes-256-cbc", Recipients: 1}
	for want, r := range map[string]smime.Report{
		"not encrypted; nothing to do": {Result: certs.None},
		"encrypted in a way that FIPS 140-3 does not approve: RSA; decrypt it without GODEBUG=fips140=only": {
			Result: certs.PolicyNo, Reason: smime.ReasonNotApproved, Detail: "RSA", Encryption: encryption},
		"nothing was decrypted (a-new-reason): why": {Result: certs.PolicyNo, Reason: "a-new-reason", Detail: "why", Encryption: encryption},
		"nothing was decrypted (ambiguous): two":    {Result: certs.PermError, Reason: smime.ReasonAmbiguous, Detail: "two"},
		"nothing was decrypted (temperror): full":   {Result: certs.TempError, Detail: "full"},
	} {
		if got := notDecrypted(r, false).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// With GODEBUG=fips140=only decrypt says that a message is encrypted in a way that is not
// approved, large or small. The mode is of the process, so that it runs in a child.
func TestDecryptNotApproved(t *testing.T) {
	dir := t.TempDir()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Approved", Key: "p256"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "rsa2048"}))
	identity := filepath.Join(dir, "alice.pem")
	if err := os.WriteFile(identity, testpki.Must(id.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, lines := range map[string]int{"small": 1, "large": 1 << 16} {
		m := testpki.Must(message.Parse([]byte("From: alice@example.org\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("some text of a line\r\n", lines))))
		sealed := testpki.Must(smime.Encrypt(m, []*x509.Certificate{id.Certificate}, smime.EncryptOptions{KeyTransport: "pkcs1"}))
		var out, said bytes.Buffer
		decrypt := &app{stdin: bytes.NewReader(sealed.Bytes()), stdout: &out, stderr: &said, clock: time.Now}
		if status := run([]string{"decrypt", "--identity", identity}, decrypt); status != 0 {
			t.Fatalf("%s: status %d, %s", name, status, said.String())
		}
		out.Reset()
		cmd := exec.CommandContext(t.Context(), "smimerelay", "decrypt", "--identity", identity)
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(sealed.Bytes()), &out, &said
		err := cmd.Run()
		if err == nil || cmd.ProcessState.ExitCode() != exitNegative || out.Len() > 0 ||
			!strings.Contains(said.String(), "encrypted in a way that FIPS 140-3 does not approve: ") {
			t.Errorf("%s: %v, %s", name, err, said.String())
		}
	}
}
