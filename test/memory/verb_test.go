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
	v := &verbs{dir: t.TempDir()}
	v.identities(t)
	writeLarge(t, v.file("small"), 1)
	v.body = writeLarge(t, v.file("large"), 100*megabyte/78)
	return v
}

// identities writes an authority and an identity.
func (v *verbs) identities(t *testing.T) {
	t.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{Name: "Streams", Key: "p256"}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Key: "p256"}))
	v.certificate, v.identity, v.root = v.file("alice.crt"), v.file("alice.pem"), v.file("root.pem")
	if err := errors.Join(os.WriteFile(v.certificate, testpki.EncodeCertificates(id.Certificate), 0o600),
		os.WriteFile(v.root, testpki.EncodeCertificates(ca.Root), 0o600),
		os.WriteFile(v.identity, testpki.Must(id.PEM()), 0o600)); err != nil {
		t.Fatal(err)
	}
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

// shapeSize is how large the messages of TestVerbShapes are, and shapeMost how much more than
// for a small one they may take, in octets: half of the size, less than any whole copy.
const (
	shapeSize = 20 * megabyte
	shapeMost = shapeSize / 2
)

// TestVerbShapes: nor do they where lines must change: one long line, 8-bit text, and, inside
// of the encryption too, LF line ends and long lines. The peer encrypts what it gets as it
// is, and reads what is signed. It takes minutes for 100 MB in one line, so that these
// messages are smaller, and the limit with them.
func TestVerbShapes(t *testing.T) {
	v := &verbs{dir: t.TempDir()}
	v.identities(t)
	for name, line := range map[string]string{
		"one line":        "words of a text that has no line end, ",
		"one line, 8-bit": "Wörter eines Textes ohne Zeilenende, ",
		"8-bit":           "eine Zeile über nichts, und dann die nächste\r\n",
		"LF":              "a line with a line end of this system\n",
		"long lines":      strings.Repeat("words ", 1000) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for size, octets := range map[string]int{"small": 1, "large": shapeSize} {
				writeShape(t, v.file(size), line, octets)
				v.peerEncrypts(t, size)
			}
			for _, step := range []struct {
				from, to string
				pipe     bool
				args     []string
			}{
				{"", "clear", true, []string{"sign", "--identity", v.identity}},
				{"", "opaque", false, []string{"sign", "--opaque", "--identity", v.identity}},
				{".clear", "verified", false, []string{"verify", "--trust", v.root, "--revocation", "off"}},
				{".opaque", "verified", true, []string{"verify", "--trust", v.root, "--revocation", "off"}},
				{".sealed", "decrypted", false, []string{"decrypt", "--identity", v.identity}},
				{".sealed", "decrypted", true, []string{"decrypt", "--identity", v.identity}},
			} {
				before := v.run(t, false, "small"+step.from, "small."+step.to, step.args...)
				peak := v.run(t, step.pipe, "large"+step.from, "large."+step.to, step.args...)
				t.Logf("%s of large%s, pipe %v: %d MB for a small message, %.1f MB more", step.args[0], step.from, step.pipe, before/megabyte, float64(peak-before)/megabyte)
				if peak-before > shapeMost {
					t.Errorf("%s of large%s, pipe %v: %d octets more than for a small message", step.args[0], step.from, step.pipe, peak-before)
				}
			}
			bodyByPeer(t, v.file("large.clear"), "-verify", "-CAfile", v.root)
		})
	}
}

// peerEncrypts has the peer encrypt the entity in a file.
func (v *verbs) peerEncrypts(t *testing.T, name string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-encrypt", "-binary", "-stream", "-aes-256-cbc", "-in", v.file(name), "-out", v.file(name+".sealed"), v.certificate)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

// writeShape writes a message of so many octets of one line, and no more.
func writeShape(t *testing.T, name, line string, octets int) {
	t.Helper()
	f := testpki.Must(os.Create(name))
	defer f.Close()
	w := bufio.NewWriter(f)
	header := "From: alice@example.org\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	_, err := io.WriteString(w, header)
	for n := 0; n < octets && err == nil; n += len(line) {
		_, err = io.WriteString(w, line)
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
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
