package memory

import (
	"bufio"
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
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// verbs is a folder with an identity, and messages of 100 MB of which one is small.
type verbs struct {
	dir, certificate, identity, root string
	body                             string // digest of the entity in the large message
}

func newVerbs(t *testing.T) *verbs {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Streams", Key: "p256"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "p256"}))
	v := &verbs{dir: t.TempDir()}
	v.certificate, v.identity, v.root = v.file("alice.crt"), v.file("alice.pem"), v.file("root.pem")
	if err := errors.Join(os.WriteFile(v.certificate, testpki.EncodeCertificates(id.Certificate), 0o600),
		os.WriteFile(v.root, testpki.EncodeCertificates(ca.Root), 0o600),
		os.WriteFile(v.identity, testpki.Must(id.PEM()), 0o600)); err != nil {
		t.Fatal(err)
	}
	writeLarge(t, v.file("small"), 1)
	v.body = writeLarge(t, v.file("large"), 100*megabyte/78)
	return v
}

func (v *verbs) file(name string) string { return filepath.Join(v.dir, name) }

// run has the program read one file, by its name or from a pipe, and write another. It
// returns the most memory that it was resident with, in octets.
func (v *verbs) run(t *testing.T, pipe bool, from, to string, args ...string) (peak int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	in := testpki.Must(os.Open(v.file(from)))
	defer in.Close()
	if pipe {
		cmd.Stdin = io.MultiReader(in)
	} else {
		cmd.Args = append(cmd.Args, v.file(from))
	}
	out := testpki.Must(os.Create(v.file(to)))
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		t.Fatalf("%v of %s: %v\n%.1000s", args, from, err, said)
	}
	return int(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10
}

// TestVerbs: the verbs take no more for a message of 100 MB than for a small one and 64
// MiB, from a file and from a pipe, and the peer and they read what they print.
func TestVerbs(t *testing.T) {
	v := newVerbs(t)
	encrypt := []string{"encrypt", "--to", v.certificate}
	sign := []string{"sign", "--identity", v.identity}
	decrypt := []string{"decrypt", "--identity", v.identity}
	verify := []string{"verify", "--trust", v.root, "--revocation", "off"}
	with := func(verb []string, more ...string) []string { return append(verb[:len(verb):len(verb)], more...) }
	for _, step := range []struct {
		from, to string
		pipe     bool
		args     []string
	}{
		{"", "cbc", false, encrypt},
		{"", "gcm", true, with(encrypt, "--cipher", "aes-256-gcm")},
		{"", "clear", true, sign},
		{"", "opaque", false, with(sign, "--opaque")},
		{".clear", "both", true, encrypt},
		{".cbc", "decrypted", false, decrypt},
		{".gcm", "decrypted again", true, decrypt},
		{".clear", "verified", false, verify},
		{".opaque", "verified again", true, verify},
		{".both", "verified with a key", false, with(verify, "--identity", v.identity)},
		{".both", "signed", false, decrypt},
	} {
		before := v.run(t, false, "small"+step.from, "small."+step.to, step.args...)
		peak := v.run(t, step.pipe, "large"+step.from, "large."+step.to, step.args...)
		t.Logf("%s to %s, pipe %v: %d MB for a small message, %.1f MB more", step.args[0], step.to, step.pipe, before/megabyte, float64(peak-before)/megabyte)
		if peak-before > streamMost {
			t.Errorf("%s to %s, pipe %v: %d octets more than for a small message", step.args[0], step.to, step.pipe, peak-before)
		}
	}
	for name, args := range map[string][]string{
		"cbc":    {"-decrypt", "-recip", v.certificate, "-inkey", v.identity},
		"clear":  {"-verify", "-CAfile", v.root},
		"opaque": {"-verify", "-CAfile", v.root},
		"signed": {"-verify", "-CAfile", v.root},
	} {
		if got := bodyByPeer(t, v.file("large."+name), args...); got != v.body {
			t.Errorf("the peer reads another message in %s", name)
		}
	}
	for _, name := range []string{"decrypted", "decrypted again"} {
		if got := v.entity(t, "large."+name); got != v.body {
			t.Errorf("another message in %s", name)
		}
	}
}

// entity returns the digest of what begins with the Content-Type in a file.
func (v *verbs) entity(t *testing.T, name string) string {
	t.Helper()
	in := testpki.Must(os.Open(v.file(name)))
	defer in.Close()
	b, h := bufio.NewReader(in), sha256.New()
	for {
		line, err := b.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "Content-Type:") {
			if _, err := io.Copy(h, io.MultiReader(strings.NewReader(line), b)); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%x", h.Sum(nil))
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
	_, err := io.WriteString(w, "From: alice@example.org\r\nDate: "+time.Now().Format(time.RFC1123Z)+"\r\nSubject: large\r\n")
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

// bodyByPeer returns the digest of what the peer reads in a message.
func bodyByPeer(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", append([]string{"cms", "-in", name}, args...)...)
	h := sha256.New()
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = h, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
