// Package peer drives other S/MIME implementations: OpenSSL, GnuPG's gpgsm,
// NSS cmsutil and Bouncy Castle, each with keys and trust of its own in a temporary folder. Whether
// a message is right is for them to say.
package peer

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// Peer is another implementation. Errors hold what the program printed.
type Peer interface {
	// Name is what people call it, with its version.
	Name() string
	// Verify checks a signed message, clear or opaque, and its chain up to the
	// anchors, and returns the content that was signed.
	Verify(message []byte) ([]byte, error)
	// Decrypt opens an encrypted message with one of the identities.
	Decrypt(message []byte) ([]byte, error)
	// Sign returns an entity (RFC 2045 section 2.4) signed by an identity,
	// opaque, as an entity.
	Sign(entity []byte, signer *testpki.Identity, a Algorithms) ([]byte, error)
	// Encrypt returns an entity encrypted to an identity, as an entity.
	Encrypt(entity []byte, to *testpki.Identity, a Algorithms) ([]byte, error)
}

// Algorithms are names as on the command line of smimerelay. Empty ones are
// sha-256, pkcs1, aes-256-cbc and pkcs1.
type Algorithms struct {
	Digest, Signature    string
	Cipher, KeyTransport string
}

// digest returns the name of the digest without its hyphen: "sha256".
func (a Algorithms) digest() string {
	return strings.ReplaceAll(cmp.Or(a.Digest, "sha-256"), "-", "")
}

func (a Algorithms) cipher() string { return cmp.Or(a.Cipher, "aes-256-cbc") }

// run runs a program with stdin and returns what it printed; the error has what
// it complained about.
func run(stdin []byte, env []string, program string, args ...string) ([]byte, error) {
	var out, complaint bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Env = append(cmd.Environ(), env...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, complaint.String())
	}
	return out.Bytes(), nil
}

// need returns the path of a program, or fails with the Debian package that has
// it.
func need(tb testing.TB, program, debian string) string {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		tb.Fatalf("program %q is missing: apt-get install %s, or run make test as root", program, debian)
	}
	return path
}

// object is the CMS object of a message, with the content that it stands beside
// when it is a detached signature.
type object struct {
	der      []byte
	detached []byte // nil when the object holds its content itself
}

// open finds the CMS object of a message in its raw bytes, apart from the code
// that is tested.
func open(message []byte) (object, error) {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return object{}, err
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return object{}, fmt.Errorf("content type: %w", err)
	}
	_, body, found := bytes.Cut(message, []byte("\r\n\r\n"))
	if !found {
		return object{}, fmt.Errorf("no empty line with CRLF after the header")
	}
	switch kind {
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		der, err := decode(body)
		return object{der: der}, err
	case "multipart/signed":
		return openSigned(body, params["boundary"])
	}
	return object{}, fmt.Errorf("content type %q is not S/MIME", kind)
}

// openSigned takes a multipart/signed apart: everything between the first two
// delimiters is signed (RFC 1847 section 2.1).
func openSigned(body []byte, boundary string) (object, error) {
	delimiter := "\r\n--" + boundary
	parts := strings.Split("\r\n"+string(body), delimiter)
	if len(parts) != 4 {
		return object{}, fmt.Errorf("multipart/signed with %d delimiters", len(parts)-1)
	}
	content, found := strings.CutPrefix(parts[1], "\r\n")
	if !found {
		return object{}, fmt.Errorf("first delimiter does not end its line")
	}
	_, signature, found := strings.Cut(parts[2], "\r\n\r\n")
	if !found {
		return object{}, fmt.Errorf("signature part without an empty line")
	}
	der, err := decode([]byte(signature))
	return object{der: der, detached: []byte(content)}, err
}

// recipient returns the identity whose serial number or key identifier stands in
// the object. It is a guess, and good enough: no other value has those octets.
func (o object) recipient(ids []*testpki.Identity) (*testpki.Identity, error) {
	for _, id := range ids {
		if bytes.Contains(o.der, id.Certificate.SerialNumber.Bytes()) || bytes.Contains(o.der, id.Certificate.SubjectKeyId) {
			return id, nil
		}
	}
	return nil, errors.New("no recipient info names an identity of the peer's")
}

// Names reports whether a message names an identity, as signer or recipient.
func Names(message []byte, id *testpki.Identity) bool {
	o, err := open(message)
	if err != nil {
		return false
	}
	_, err = o.recipient([]*testpki.Identity{id})
	return err == nil
}

func decode(text []byte) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
}

// signedData makes an entity of SignedData.
func signedData(der []byte, err error) ([]byte, error) { return wrap("signed-data", der), err }

// envelopedData makes an entity of EnvelopedData, or of AuthEnvelopedData when
// the cipher authenticates.
func envelopedData(der []byte, err error, a Algorithms) ([]byte, error) {
	if strings.HasSuffix(a.cipher(), "-cbc") {
		return wrap("enveloped-data", der), err
	}
	return wrap("authEnveloped-data", der), err
}

func wrap(kind string, der []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Content-Type: application/pkcs7-mime; smime-type=%s; name=\"smime.p7m\"\r\n"+
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n", kind)
	for text := base64.StdEncoding.EncodeToString(der); text != ""; {
		n := min(76, len(text))
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return b.Bytes()
}

// root returns the root of the repository.
func root(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("the source of the test is not known")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
