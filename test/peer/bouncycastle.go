package peer

import (
	"bufio"
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// BouncyCastle is the Java library, behind a small program that one
// virtual machine runs for all calls.
type BouncyCastle struct {
	dir string
	ids []*testpki.Identity

	mu    sync.Mutex
	calls int
	in    io.Writer
	out   *bufio.Reader
}

// bouncyJars are those of Debian's libbcmail-java.
const bouncyJars = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar:/usr/share/java/bcmail.jar"

// NewBouncyCastle compiles and starts the Java program.
func NewBouncyCastle(tb testing.TB, ca *testpki.CA, ids ...*testpki.Identity) *BouncyCastle {
	tb.Helper()
	b := &BouncyCastle{dir: tb.TempDir(), ids: ids}
	java, javac := need(tb, "java", "openjdk-17-jdk-headless"), need(tb, "javac", "openjdk-17-jdk-headless")
	if _, err := os.Stat(strings.Split(bouncyJars, ":")[0]); err != nil {
		tb.Fatalf("Bouncy Castle is missing: apt-get install libbcmail-java: %v", err)
	}
	source := filepath.Join(root(tb), "test", "interop", "BouncyCastle.java")
	if _, err := run(nil, nil, javac, "-d", b.dir, "-cp", bouncyJars, source); err != nil {
		tb.Fatal(err)
	}
	b.store(tb, "ca.pem", testpki.EncodeCertificates(ca.Root))
	for _, id := range ids {
		b.store(tb, name(id)+".pem", testpki.Must(id.PEM()))
	}
	b.start(tb, exec.Command(java, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", bouncyJars+":"+b.dir, "BouncyCastle"))
	return b
}

func (b *BouncyCastle) start(tb testing.TB, cmd *exec.Cmd) {
	tb.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("java: %v", err)
		}
	})
	b.in, b.out = in, bufio.NewReader(out)
}

func (b *BouncyCastle) file(name string) string { return filepath.Join(b.dir, name) }

func (b *BouncyCastle) store(tb testing.TB, name string, content []byte) {
	tb.Helper()
	if err := os.WriteFile(b.file(name), content, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// call has the program read content from a file and returns what it wrote.
// words may hold IN and OUT for the names of both.
func (b *BouncyCastle) call(content []byte, words ...string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	in, out := b.file(fmt.Sprint("in", b.calls)), b.file(fmt.Sprint("out", b.calls))
	if err := os.WriteFile(in, content, 0o600); err != nil {
		return nil, err
	}
	for i, word := range words {
		words[i] = strings.NewReplacer("IN", in, "OUT", out).Replace(word)
	}
	fmt.Fprintln(b.in, strings.Join(words, "\t"))
	answer, err := b.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("java: %w", err)
	}
	if answer != "ok\n" {
		return nil, fmt.Errorf("bouncy castle: %s: %s", words[0], answer)
	}
	return os.ReadFile(out)
}

// Name returns "Bouncy Castle".
func (b *BouncyCastle) Name() string { return "Bouncy Castle" }

// Verify checks all signatures and their paths.
func (b *BouncyCastle) Verify(message []byte) ([]byte, error) {
	o, err := open(message)
	if err != nil {
		return nil, err
	}
	detached := "-"
	if o.detached != nil {
		detached = b.file("detached")
		if err := os.WriteFile(detached, o.detached, 0o600); err != nil {
			return nil, err
		}
	}
	return b.call(o.der, "verify", b.file("ca.pem"), "IN", detached, "OUT")
}

// Decrypt uses the identity that a recipient info names.
func (b *BouncyCastle) Decrypt(message []byte) ([]byte, error) {
	o, err := open(message)
	if err != nil {
		return nil, err
	}
	id, err := o.recipient(b.ids)
	if err != nil {
		return nil, err
	}
	return b.call(o.der, "decrypt", b.file(name(id)+".pem"), "IN", "OUT")
}

// Sign makes an opaque signature.
func (b *BouncyCastle) Sign(entity []byte, signer *testpki.Identity, a Algorithms) ([]byte, error) {
	algorithm := strings.ToUpper(a.digest()) + "withRSA"
	switch signer.Key.(type) {
	case *ecdsa.PrivateKey:
		algorithm = strings.ToUpper(a.digest()) + "withECDSA"
	case ed25519.PrivateKey:
		algorithm = "Ed25519"
	default:
		if a.Signature == "pss" {
			algorithm += "andMGF1"
		}
	}
	return signedData(b.call(entity, "sign", b.file(name(signer)+".pem"), algorithm, "IN", "OUT"))
}

// Encrypt makes EnvelopedData or AuthEnvelopedData.
func (b *BouncyCastle) Encrypt(entity []byte, to *testpki.Identity, a Algorithms) ([]byte, error) {
	transport := cmp.Or(a.KeyTransport, "pkcs1")
	der, err := b.call(entity, "encrypt", b.file(name(to)+".pem"), a.cipher(), transport, "IN", "OUT")
	return envelopedData(der, err, a)
}
