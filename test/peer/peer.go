// Package peer drives other S/MIME implementations: OpenSSL, GnuPG's gpgsm and
// NSS cmsutil, each with keys and trust of its own in a temporary folder. Whether
// a message is right is for them to say.
package peer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"net/mail"
	"os/exec"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testpki"
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
	// Sign returns content signed by an identity, opaque, as CMS in DER.
	Sign(content []byte, signer *testpki.Identity) ([]byte, error)
	// Encrypt returns content encrypted to an identity, as CMS in DER.
	Encrypt(content []byte, to *testpki.Identity) ([]byte, error)
}

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

func decode(text []byte) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
}
