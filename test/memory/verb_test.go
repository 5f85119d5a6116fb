package memory

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestEncryptVerb: encrypt takes no more for 100 MB than for a small message and 64 MiB,
// from a file and from a pipe, and the peer decrypts what it prints.
func TestEncryptVerb(t *testing.T) {
	dir := t.TempDir()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Streams", Key: "p256"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "p256"}))
	certificate, key, message := filepath.Join(dir, "alice.crt"), filepath.Join(dir, "alice.pem"), filepath.Join(dir, "message")
	if err := errors.Join(os.WriteFile(certificate, testpki.EncodeCertificates(id.Certificate), 0o600),
		os.WriteFile(key, testpki.Must(id.PEM()), 0o600)); err != nil {
		t.Fatal(err)
	}
	encrypt := func(pipe bool) (peak int, result string) {
		cmd := exec.CommandContext(t.Context(), program, "encrypt", "--to", certificate)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		if in := testpki.Must(os.Open(message)); pipe {
			defer in.Close()
			cmd.Stdin = io.MultiReader(in)
		} else {
			in.Close()
			cmd.Args = append(cmd.Args, message)
		}
		result = filepath.Join(dir, "encrypted")
		out := testpki.Must(os.Create(result))
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return int(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10, result
	}
	writeLarge(t, message, 1)
	before, _ := encrypt(false)
	body := writeLarge(t, message, 100*megabyte/78)
	for _, pipe := range []bool{false, true} {
		peak, result := encrypt(pipe)
		t.Logf("pipe %v: %d MB for a small message, %.1f MB more", pipe, before/megabyte, float64(peak-before)/megabyte)
		if peak-before > streamMost {
			t.Errorf("pipe %v: %d octets more than for a small message", pipe, peak-before)
		}
		if got := decryptedBody(t.Context(), t, result, key); got != body {
			t.Errorf("pipe %v: the peer decrypts another message", pipe)
		}
	}
}

// writeLarge writes a message with n lines, and returns the digest of its inner entity.
func writeLarge(t *testing.T, name string, n int) string {
	t.Helper()
	f := testpki.Must(os.Create(name))
	defer f.Close()
	w, h := bufio.NewWriter(f), sha256.New()
	both := io.MultiWriter(w, h)
	_, err := io.WriteString(w, "From: alice@example.org\r\nSubject: large\r\n")
	line := "Content-Type: text/plain\r\n\r\n"
	// Not in memory: a child begins with the most that its parent was resident with.
	for i := 0; i <= n && err == nil; i++ {
		_, err = io.WriteString(both, line)
		line = strings.Repeat("x", 76) + "\r\n"
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// decryptedBody returns the digest of what the peer decrypts.
func decryptedBody(ctx context.Context, t *testing.T, name, key string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "openssl", "cms", "-decrypt", "-in", name, "-recip", key, "-inkey", key)
	h := sha256.New()
	cmd.Stdout, cmd.Stderr = h, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
