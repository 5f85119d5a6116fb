package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// Nothing is printed of a large message that cannot be read to its end, or is not one; a
// whole one is, behind the line of a mailbox file, and no file is left.
func TestEncryptPrintsWhole(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Streams", Key: "p256"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "p256"}))
	cert := filepath.Join(t.TempDir(), "alice.crt")
	if err := os.WriteFile(cert, testpki.EncodeCertificates(id.Certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	large := "Content-Type: text/plain\r\n\r\n" + strings.Repeat("line\r\n", 1<<19)
	for name, tt := range map[string]struct {
		in      io.Reader
		status  int
		printed bool
	}{
		"cut off":      {io.MultiReader(strings.NewReader(large), iotest.ErrReader(errors.New("broken"))), exitUnusable, false},
		"two types":    {strings.NewReader("Content-Type: text/html\r\n" + large), exitUnusable, false},
		"empty":        {strings.NewReader(""), exitUnusable, false},
		"whole":        {strings.NewReader(large), 0, true},
		"of a mailbox": {iotest.HalfReader(strings.NewReader("From alice Thu Jan  1 00:00:00 2026\n" + large)), 0, true},
	} {
		var out, errs bytes.Buffer
		a := &app{stdin: tt.in, stdout: &out, stderr: &errs, clock: time.Now}
		if got := run([]string{"encrypt", "--to", cert}, a); got != tt.status || (out.Len() > len(large)) != tt.printed || !tt.printed && out.Len() > 0 {
			t.Errorf("%s: status %d, %d octets, %s", name, got, out.Len(), errs.Bytes())
		}
		if tt.printed && !bytes.HasPrefix(out.Bytes(), []byte("MIME-Version: 1.0\r\n")) {
			t.Errorf("%s: %.100q", name, out.Bytes())
		}
	}
	if left := testpki.Must(os.ReadDir(dir)); len(left) > 0 {
		t.Errorf("%v", left)
	}
}
