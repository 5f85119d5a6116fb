package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// world is a sender and recipients with keys of one kind.
type world struct {
	dir     string
	ids     []*testpki.Identity // the first signs and decrypts
	keys    certs.Keys
	checker certs.Checker
	// parsed keeps parsed certificates, as the gateway does.
	parsed  *cms.CertificateCache
	written bytes.Buffer
}

func newWorld(dir, key string) (*world, error) {
	root, err := testpki.NewCA(testpki.Options{Name: "Bench root", Key: key})
	if err != nil {
		return nil, err
	}
	// Chains of three: our checker remembers one that it has verified, libcrypto
	// builds it each time.
	ca, err := root.Intermediate(testpki.Options{Name: "Bench", Key: key})
	if err != nil {
		return nil, err
	}
	w := &world{dir: filepath.Join(dir, key), parsed: cms.NewCertificateCache(1 << 20)}
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return nil, err
	}
	for i := range 100 {
		id, err := ca.Issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("u%d@bench.example", i)}, Key: key})
		if err != nil {
			return nil, err
		}
		pem, err := id.PEM()
		if err != nil {
			return nil, err
		}
		w.ids = append(w.ids, id)
		if err := errorOf(w.store(fmt.Sprintf("%d.pem", i), pem),
			w.store(fmt.Sprintf("%d.cert.pem", i), testpki.EncodeCertificates(id.Certificate))); err != nil {
			return nil, err
		}
	}
	w.keys = certs.NewKeys(time.Now, (*certs.Identity)(w.ids[0]))
	w.checker, err = path.NewValidator(path.Config{
		Anchors: []*x509.Certificate{root.Root}, Revocation: certs.RevocationOff, Clock: time.Now,
	})
	return w, errorOf(err, w.store("ca.pem", testpki.EncodeCertificates(root.Root)))
}

func (w *world) store(name string, content []byte) error {
	return os.WriteFile(filepath.Join(w.dir, name), content, 0o600)
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// job is one row, ready to be measured three times.
type job struct {
	floor, engine func()
	world         *world
	benchCase
	input []byte
}

// prepare makes the input of a case: a message, or what the engine makes of it
// where the operation is the way back.
func (w *world) prepare(c benchCase) (*job, error) {
	text := plain(c.size)
	j := &job{world: w, benchCase: c, input: text}
	var protected []byte
	switch c.operation {
	case "sign":
		protected = w.sign(text)
	case "verify":
		protected = w.sign(text)
		j.input = protected
	case "encrypt":
		protected = w.encrypt(text, c.recipients)
	case "decrypt":
		protected = w.encrypt(text, c.recipients)
		j.input = protected
	case "signencrypt":
		protected = w.signEncrypt(text, c.recipients)
	}
	w.written.Reset()
	w.written.Grow(2 * len(text))
	j.engine = func() { w.perform(c, j.input) }
	j.floor = w.floor(c, text, protected)
	return j, w.store("message", j.input)
}

// plain returns a message with a base64 part of size octets, as attachments are.
func plain(size int) []byte {
	var b bytes.Buffer
	b.WriteString("From: <u0@bench.example>\r\nTo: <u1@bench.example>\r\nSubject: bench\r\nDate: " + time.Now().Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	line := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xa5, 0x5a, 0x11}, 19)) + "\r\n"
	b.WriteString(strings.Repeat(line, size/len(line)+1))
	return b.Bytes()
}

func (w *world) perform(c benchCase, input []byte) {
	large := c.size > 1<<20 // then by pieces, into room that there is, as the primitives do
	w.written.Reset()
	switch {
	case c.operation == "sign" && large:
		must(w.draft(input).WriteTo(&w.written))
		return
	case c.operation == "encrypt" && large:
		must(0, smime.EncryptStream(&w.written, bytes.NewReader(input), w.certificates(c.recipients), smime.EncryptOptions{}))
		return
	}
	switch c.operation {
	case "sign":
		w.sign(input)
	case "encrypt":
		w.encrypt(input, c.recipients)
	case "signencrypt":
		w.signEncrypt(input, c.recipients)
	case "verify", "decrypt":
		o := smime.Open(context.Background(), must(message.Parse(input)), smime.OpenOptions{Keys: w.keys, Checker: w.checker, Certificates: w.parsed})
		if c.operation == "verify" && o.Report.Result != certs.Pass || c.operation == "decrypt" && !o.Decrypted {
			panic(fmt.Sprintf("%s: %+v", c.operation, o.Report))
		}
	}
}

func (w *world) draft(input []byte) *message.Draft {
	m := must(message.Parse(input))
	return must(smime.SignDraft(m, (*certs.Identity)(w.ids[0]), smime.SignOptions{Time: time.Now()}))
}

func (w *world) sign(input []byte) []byte {
	m := must(message.Parse(input))
	return must(smime.Sign(m, (*certs.Identity)(w.ids[0]), smime.SignOptions{Time: time.Now()})).Bytes()
}

func (w *world) encrypt(input []byte, recipients int) []byte {
	return must(smime.Encrypt(must(message.Parse(input)), w.certificates(recipients), smime.EncryptOptions{})).Bytes()
}

// signEncrypt does both as the gateway does, which never writes what is signed by itself.
func (w *world) signEncrypt(input []byte, recipients int) []byte {
	return must(smime.EncryptDraft(w.draft(input), w.certificates(recipients), smime.EncryptOptions{})).Bytes()
}

// certificates are those of the first n.
func (w *world) certificates(n int) []*x509.Certificate {
	var list []*x509.Certificate
	for _, id := range w.ids[:n] {
		list = append(list, id.Certificate)
	}
	return list
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// libcrypto has the C program measure the same.
func (j *job) libcrypto(program string, budget time.Duration) (time.Duration, error) {
	file := func(name string) string { return filepath.Join(j.world.dir, name) }
	args := []string{j.operation, file("message"), file("0.pem"), fmt.Sprint(budget.Seconds())}
	if j.operation == "verify" {
		args = append(args, file("ca.pem"))
	} else {
		for i := range j.recipients {
			args = append(args, file(fmt.Sprintf("%d.cert.pem", i)))
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", cmd, err)
	}
	nanoseconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return time.Duration(nanoseconds), err
}
