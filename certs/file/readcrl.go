package file

import (
	"bufio"
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pemfile"
)

// maxCRLFile limits a revocation list that is read from a file, in octets.
const maxCRLFile = 512 << 20

var errNoCRL = errors.New("no revocation list in it; PEM and DER are understood")

// ReadCRLs reads revocation lists, PEM or DER, from a file or from all files
// of a folder whose names end in .crl or .pem. The lists are returned in DER and
// are neither trusted nor looked into; whether a list counts is decided where
// a certificate is checked.
func ReadCRLs(path string) ([][]byte, error) {
	files, err := filesOf(path, []string{".crl", ".pem"})
	if err != nil {
		return nil, err
	}
	var lists [][]byte
	var problems []error
	for _, f := range files {
		data, err := readLimited(f, maxCRLFile)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		found, err := parseCRLFile(data)
		if err != nil {
			problems = append(problems, fmt.Errorf("revocation list %q: %w", f, err))
		}
		lists = append(lists, found...)
	}
	return lists, errors.Join(problems...)
}

// OpenLists is ReadCRLs for sets that are too large for memory: the lists are
// parsed as they are read, and the indexes of large ones are kept in files without
// a name in folder, "" for the one for temporary files. Give them to a Validator
// as Lists. A list whose signature algorithm is not supported is passed over, with a
// SkippedError: what it covers stays unknown.
func OpenLists(path, folder string) ([]*revocation.List, error) {
	if folder == "" {
		folder = os.TempDir()
	}
	files, err := filesOf(path, []string{".crl", ".pem"})
	if err != nil {
		return nil, err
	}
	var lists []*revocation.List
	var problems []error
	for _, f := range files {
		found, err := openList(f, folder)
		problems = append(problems, fault.Each(err)...)
		lists = append(lists, found...)
	}
	return lists, errors.Join(problems...)
}

// openList opens the lists of one file.
func openList(path, folder string) ([]*revocation.List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("revocation list %q: %w", path, err)
	}
	defer f.Close()
	o := opening{path: path, folder: folder}
	r := bufio.NewReader(f)
	if first, err := r.Peek(1); err == nil && first[0] == 0x30 { // a SEQUENCE, so DER
		o.add(r)
		return o.lists, errors.Join(o.problems...)
	}
	ders, err := ReadCRLs(path)
	if err != nil {
		return nil, err
	}
	for _, der := range ders {
		o.add(bytes.NewReader(der))
	}
	return o.lists, errors.Join(o.problems...)
}

// opening collects the lists of a file.
type opening struct {
	path, folder string
	number       int
	lists        []*revocation.List
	problems     []error
}

// add opens one list.
func (o *opening) add(r io.Reader) {
	o.number++
	l, err := revocation.ReadList(r, o.folder)
	switch {
	case err == nil:
		o.lists = append(o.lists, l)
	case errors.Is(err, revocation.ErrUnsupported):
		o.problems = append(o.problems, &SkippedError{File: o.path, List: true, Number: o.number, Err: err})
	default:
		o.problems = append(o.problems, fmt.Errorf("revocation list %q: %w", o.path, err))
	}
}

func parseCRLFile(data []byte) ([][]byte, error) {
	if !pemfile.Is(data) {
		var outer asn1.RawValue
		rest, err := asn1.Unmarshal(data, &outer)
		if err != nil || len(rest) > 0 || outer.Tag != asn1.TagSequence {
			return nil, errNoCRL
		}
		return [][]byte{data}, nil
	}
	var lists [][]byte
	number := 0
	for block, err := range pemfile.Blocks(data) {
		if err != nil {
			return nil, err
		}
		number++
		switch block.Type {
		case pemfile.CRL:
			lists = append(lists, block.Bytes)
		case pemfile.PKCS7:
			return nil, fmt.Errorf("block %d is PKCS #7, in which no revocation list is looked for; write the lists as %q", number, pemfile.CRL)
		case pemfile.Certificate:
			// One that is mislabelled would be missed.
			if mayBeList(block.Bytes) {
				return nil, fmt.Errorf("block %d is a revocation list, and no certificate as its type says; write it as %q", number, pemfile.CRL)
			}
		}
	}
	if len(lists) == 0 {
		return nil, errNoCRL
	}
	return lists, nil
}

// mayBeList reports whether DER can be read as a revocation list.
func mayBeList(der []byte) bool {
	l, err := revocation.ReadList(bytes.NewReader(der), "")
	if err == nil {
		err = l.Close()
	}
	return err == nil
}
