// Package publicroots has the certification authorities that Mozilla trusts for mail,
// as they stand in NSS's certdata.txt: a list inside the program, and lists that are
// made of newer files.
package publicroots

import (
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// List is a dated list of authorities.
type List struct {
	// Source says which file the list was made of, SHA256 is its hash.
	Source string
	SHA256 [32]byte
	// Date is when the source was published.
	Date  time.Time
	Roots []Root
}

// Root is an authority.
type Root struct {
	Certificate *x509.Certificate
	// DistrustAfter is after which notBefore the certificates that it issued are not
	// trusted for mail; zero is never.
	DistrustAfter time.Time
}

// MaxAge is after what time a list should be replaced.
const MaxAge = 365 * 24 * time.Hour

// mozilla is made by "make public-roots".
//
//go:embed mozilla.pem
var mozilla []byte

// Mozilla returns the list inside the program.
func Mozilla() (*List, error) { return Read(mozilla) }

// The headers of the first block of a list, which has no content, and of the others.
const (
	listBlock       = "PUBLIC ROOTS"
	rootBlock       = "CERTIFICATE"
	sourceHeader    = "Source"
	dateHeader      = "Date"
	hashHeader      = "SHA256"
	distrustsHeader = "Distrust-After"
)

// Write writes the list in the form that Read reads: a block with its source, and one
// for each certificate.
func (l *List) Write(w io.Writer) error {
	head := &pem.Block{Type: listBlock, Headers: map[string]string{
		sourceHeader: l.Source, dateHeader: l.Date.UTC().Format(time.DateOnly), hashHeader: hex.EncodeToString(l.SHA256[:]),
	}}
	if err := pem.Encode(w, head); err != nil {
		return err
	}
	for _, r := range l.Roots {
		if _, err := fmt.Fprintf(w, "\n# %s\n", pkix.SubjectString(r.Certificate)); err != nil {
			return err
		}
		b := &pem.Block{Type: rootBlock, Bytes: r.Certificate.Raw}
		if !r.DistrustAfter.IsZero() {
			b.Headers = map[string]string{distrustsHeader: r.DistrustAfter.UTC().Format(time.RFC3339)}
		}
		if err := pem.Encode(w, b); err != nil {
			return err
		}
	}
	return nil
}

var errNoList = errors.New("not a list of authorities; make one with smimerelay trust update --from certdata.txt")

// Read reads a list that Write has written.
func Read(data []byte) (*List, error) {
	head, rest := pem.Decode(data)
	if head == nil || head.Type != listBlock {
		return nil, errNoList
	}
	l := &List{Source: head.Headers[sourceHeader]}
	var err error
	if l.Date, err = time.Parse(time.DateOnly, head.Headers[dateHeader]); err != nil {
		return nil, fmt.Errorf("list of authorities: date: %w", err)
	}
	sum, err := hex.DecodeString(head.Headers[hashHeader])
	if err != nil || len(sum) != len(l.SHA256) {
		return nil, errNoList
	}
	l.SHA256 = [32]byte(sum)
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		r, err := readRoot(b)
		if err != nil {
			return nil, fmt.Errorf("list of authorities: certificate %d: %w", len(l.Roots)+1, err)
		}
		l.Roots = append(l.Roots, r)
	}
	if len(l.Roots) == 0 || strings.Contains(string(rest), "-----BEGIN") {
		return nil, errNoList
	}
	return l, nil
}

func readRoot(b *pem.Block) (Root, error) {
	if b.Type != rootBlock {
		return Root{}, fmt.Errorf("unexpected %q", b.Type)
	}
	cert, err := pkix.ParseCertificate(b.Bytes)
	if err != nil {
		return Root{}, err
	}
	r := Root{Certificate: cert}
	if text := b.Headers[distrustsHeader]; text != "" {
		if r.DistrustAfter, err = time.Parse(time.RFC3339, text); err != nil {
			return Root{}, err
		}
	}
	return r, nil
}
