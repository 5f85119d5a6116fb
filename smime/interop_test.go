package smime

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/internal/testpki"
)

// tool runs a program of the machine in dir, which must be installed.
func tool(t testing.TB, dir, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install openssl, gpgsm and libnss3-tools", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, errs.Bytes())
	}
	return out.Bytes()
}

func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// opensslDir makes a folder with ca.pem and, for each identity, NAME.pem.
func (w *world) opensslDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "ca.pem", testpki.EncodeCertificates(w.ca.Root))
	for name, id := range map[string]*certs.Identity{"alice": w.alice, "bob": w.bob} {
		write(t, dir, name+".pem", testpki.Must((*testpki.Identity)(id).PEM()))
	}
	return dir
}

// OpenSSL verifies what we sign and finds the content byte for byte.
func TestOpenSSLVerifies(t *testing.T) {
	w := newWorld(t)
	dir := w.opensslDir(t)
	for name, text := range samples {
		for _, id := range []*certs.Identity{w.alice, w.bob} {
			for _, o := range []SignOptions{{}, {Opaque: true}, {Digest: "sha-512"}} {
				m := mail(t, text)
				write(t, dir, "in.eml", w.sign(t, m, id, o).Bytes())
				out := tool(t, dir, "openssl", "cms", "-verify", "-in", "in.eml", "-CAfile", "ca.pem")
				got, err := message.Parse(out)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				sameMeaning(t, got.Root(), m.Root())
			}
		}
	}
}

// OpenSSL decrypts what we encrypt.
func TestOpenSSLDecrypts(t *testing.T) {
	w := newWorld(t)
	dir := w.opensslDir(t)
	for name, text := range samples {
		m := mail(t, text)
		encrypted := encrypt(t, w.sign(t, m, w.alice, SignOptions{}), EncryptOptions{}, w.alice, w.bob)
		write(t, dir, "in.eml", encrypted.Bytes())
		for _, who := range []string{"alice", "bob"} {
			tool(t, dir, "openssl", "cms", "-decrypt", "-in", "in.eml", "-recip", who+".pem", "-out", "signed.eml")
			out := tool(t, dir, "openssl", "cms", "-verify", "-in", "signed.eml", "-CAfile", "ca.pem")
			got, err := message.Parse(out)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sameMeaning(t, got.Root(), m.Root())
		}
	}
}

// We open what OpenSSL makes.
func TestOpenOpenSSL(t *testing.T) {
	w := newWorld(t)
	dir := w.opensslDir(t)
	write(t, dir, "in.txt", []byte("Content-Type: text/plain; charset=utf-8\r\n\r\ngrüße\r\n"))
	mailArgs := []string{"-from", "alice@example.org", "-to", "bob@example.org", "-subject", "s"}
	for name, args := range map[string][]string{
		"clear":         {"-sign", "-signer", "alice.pem"},
		"clear sha512":  {"-sign", "-signer", "alice.pem", "-md", "sha512"},
		"opaque":        {"-sign", "-signer", "alice.pem", "-nodetach"},
		"opaque stream": {"-sign", "-signer", "alice.pem", "-nodetach", "-stream"},
		"key id":        {"-sign", "-signer", "alice.pem", "-keyid"},
		"pss":           {"-sign", "-signer", "alice.pem", "-keyopt", "rsa_padding_mode:pss"},
	} {
		out := tool(t, dir, "openssl", append(append([]string{"cms", "-in", "in.txt"}, args...), mailArgs...)...)
		r := w.open(parse(t, string(out))).Report
		if r.Result != certs.Pass || len(r.Signers) != 1 || r.Signers[0].Addresses[0] != "alice@example.org" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for name, args := range map[string][]string{
		"rsa":    {"-encrypt", "-aes256", "alice.pem"},
		"stream": {"-encrypt", "-aes128", "-stream", "alice.pem"},
		"two":    {"-encrypt", "-aes256", "alice.pem", "bob.pem"},
		"gcm":    {"-encrypt", "-aes-256-gcm", "alice.pem"},
		"oaep":   {"-encrypt", "-aes256", "-recip", "alice.pem", "-keyopt", "rsa_padding_mode:oaep"},
		"key id": {"-encrypt", "-aes256", "-keyid", "alice.pem"},
	} {
		out := tool(t, dir, "openssl", append(append([]string{"cms", "-in", "in.txt"}, mailArgs...), args...)...)
		opened := w.open(parse(t, string(out)), w.alice)
		if got := string(opened.Message.Body()); !opened.Decrypted || got != "grüße\r\n" {
			t.Errorf("%s: %q, %+v", name, got, opened.Report)
		}
	}
}
