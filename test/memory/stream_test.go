package memory

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/smime/cms"
)

// streamEnv names what a child process does: see TestStreams.
const streamEnv = "SMIMERELAY_TEST_STREAM"

// streamMost is how much more than the program itself a stream may take, in octets.
const streamMost = 64 << 20

// TestStreams: what is done to 100 MB as a stream takes no more than 64 MiB beyond what
// the program takes anyway. Each operation runs in a process of its own, which checks
// what it made and says what it was resident with before and at most.
func TestStreams(t *testing.T) {
	for _, name := range streamNames {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), streamEnv+"="+name, "TMPDIR="+t.TempDir())
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			before, after, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
			a, errA := strconv.Atoi(before)
			b, errB := strconv.Atoi(after)
			if err := errors.Join(errA, errB); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d MB before, %.1f MB more", a/megabyte, float64(b-a)/megabyte)
			if b-a > streamMost {
				t.Errorf("%d octets more than before", b-a)
			}
		})
	}
}

var streamNames = []string{
	"sign opaque, and verify", "sign detached, and verify",
	"aes-256-cbc, size unknown", "aes-256-cbc, size known", "aes-256-gcm, size unknown", "aes-256-gcm, size known",
	"chacha20-poly1305, size unknown",
}

// streamChild does one operation and its opposite, and prints the most that this process
// was resident with before and after.
func streamChild(name string) int {
	before, err := ownPeak()
	if err == nil {
		err = streamOperation(name)
	}
	after, errAfter := ownPeak()
	if err = errors.Join(err, errAfter); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(before, after)
	return 0
}

// ownPeak is the most memory that this process was resident with so far, in octets.
func ownPeak() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(peakLine.FindSubmatch(status)[1]))
	return n << 10, err
}

// large gives the same 100 MB each time, which are not in memory.
func large() io.Reader {
	return io.LimitReader(mathrand.NewChaCha8([32]byte{1}), 100*megabyte)
}

// sameLarge fails unless all that was written to h is what large gives.
func sameLarge(h hash.Hash) error {
	want := sha256.New()
	if _, err := io.Copy(want, large()); err != nil {
		return err
	}
	if string(h.Sum(nil)) != string(want.Sum(nil)) {
		return errors.New("another content")
	}
	return nil
}

func streamOperation(name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Alice"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	object, err := os.Create(filepath.Join(os.TempDir(), "object"))
	if err != nil {
		return err
	}
	defer object.Close()
	if cipher, size, ok := strings.Cut(name, ", size "); ok {
		announced := int64(-1)
		if size == "known" {
			announced = 100 * megabyte
		}
		return encryptDecrypt(object, cert, key, cms.Cipher(cipher), announced)
	}
	signers := []cms.Signer{{Certificate: cert, Key: key}}
	if strings.Contains(name, "detached") {
		return signVerifyDetached(signers)
	}
	return signVerify(object, signers)
}

func signVerify(object *os.File, signers []cms.Signer) error {
	if err := cms.SignStream(object, cms.SignRequest{Signers: signers}, large()); err != nil {
		return err
	}
	if _, err := object.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	s, err := cms.ReadSignedData(object, h)
	if err != nil {
		return err
	}
	if r := s.Verify(cms.VerifyOptions{}); len(r) != 1 || r[0].Err != nil {
		return fmt.Errorf("%+v", r)
	}
	return sameLarge(h)
}

func signVerifyDetached(signers []cms.Signer) error {
	digests, err := cms.Digest(large(), crypto.SHA256)
	if err != nil {
		return err
	}
	o, err := cms.Sign(cms.SignRequest{Detached: true, Digests: digests, Signers: signers})
	if err != nil {
		return err
	}
	s, err := cms.ParseSignedData(o.Bytes())
	if err != nil {
		return err
	}
	if digests, err = cms.Digest(large(), s.Digests()...); err != nil {
		return err
	}
	if r := s.Verify(cms.VerifyOptions{Digests: digests}); len(r) != 1 || r[0].Err != nil {
		return fmt.Errorf("%+v", r)
	}
	return nil
}

func encryptDecrypt(object *os.File, cert *x509.Certificate, key crypto.PrivateKey, c cms.Cipher, size int64) error {
	request := cms.EncryptRequest{Recipients: []*x509.Certificate{cert}, Cipher: c}
	if err := cms.EncryptStream(object, request, large(), size); err != nil {
		return err
	}
	if _, err := object.Seek(0, io.SeekStart); err != nil {
		return err
	}
	spool, err := os.Create(filepath.Join(os.TempDir(), "spool"))
	if err != nil {
		return err
	}
	defer spool.Close()
	e, err := cms.ReadEnvelopedData(object, spool)
	if err != nil {
		return err
	}
	h := sha256.New()
	if err := e.DecryptTo(h, 0, key, cms.DecryptOptions{}); err != nil {
		return err
	}
	return sameLarge(h)
}
