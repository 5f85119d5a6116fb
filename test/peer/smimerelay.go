package peer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// Smimerelay is our own command line, so that it can sit on either side of a
// comparison.
type Smimerelay struct {
	program, dir string
	ids          []*testpki.Identity
}

// NewSmimerelay prepares `program` to trust the anchor and hold the identities.
func NewSmimerelay(tb testing.TB, program string, ca *testpki.CA, ids ...*testpki.Identity) *Smimerelay {
	tb.Helper()
	s := &Smimerelay{program: program, dir: tb.TempDir(), ids: ids}
	store := func(name string, content []byte) {
		if err := os.WriteFile(s.file(name), content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	store("ca.pem", testpki.EncodeCertificates(ca.Root))
	for _, id := range ids {
		store(name(id)+".pem", testpki.Must(id.PEM()))
		store(name(id)+".cert.pem", testpki.EncodeCertificates(id.Certificate))
	}
	return s
}

func (s *Smimerelay) file(name string) string { return filepath.Join(s.dir, name) }

// Name returns "smimerelay".
func (s *Smimerelay) Name() string { return "smimerelay" }

// Verify runs `smimerelay verify`, which must say pass, and takes the content
// out of a clear signature. Of an opaque one it returns nil: there is no verb
// that prints it.
func (s *Smimerelay) Verify(message []byte) ([]byte, error) {
	out, err := run(message, nil, s.program, "verify", "--trust", s.file("ca.pem"), "--revocation", "off", "--json")
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(out, []byte(`"pass"`)) {
		return nil, fmt.Errorf("exit status 0, and the report says %s", out)
	}
	o, err := open(message)
	return o.detached, err
}

// Decrypt runs `smimerelay decrypt`.
func (s *Smimerelay) Decrypt(message []byte) ([]byte, error) {
	args := []string{"decrypt"}
	for _, id := range s.ids {
		args = append(args, "--identity", s.file(name(id)+".pem"))
	}
	return run(message, nil, s.program, args...)
}

// Sign runs `smimerelay sign --opaque`.
func (s *Smimerelay) Sign(entity []byte, signer *testpki.Identity, a Algorithms) ([]byte, error) {
	return s.sign(entity, signer, a, "--opaque")
}

// SignClear runs `smimerelay sign`.
func (s *Smimerelay) SignClear(entity []byte, signer *testpki.Identity, a Algorithms) ([]byte, error) {
	return s.sign(entity, signer, a)
}

func (s *Smimerelay) sign(entity []byte, signer *testpki.Identity, a Algorithms, args ...string) ([]byte, error) {
	args = append([]string{"sign", "--identity", s.file(name(signer) + ".pem")}, args...)
	args = given(args, "--digest", a.Digest)
	args = given(args, "--signature", a.Signature)
	return run(entity, nil, s.program, args...)
}

// Encrypt runs `smimerelay encrypt`.
func (s *Smimerelay) Encrypt(entity []byte, to *testpki.Identity, a Algorithms) ([]byte, error) {
	args := given([]string{"encrypt", "--to", s.file(name(to) + ".cert.pem")}, "--cipher", a.Cipher)
	args = given(args, "--key-transport", a.KeyTransport)
	return run(entity, nil, s.program, args...)
}

func given(args []string, flag, value string) []string {
	if value == "" {
		return args
	}
	return append(args, flag, value)
}
