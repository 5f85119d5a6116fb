package file

import (
	"bufio"
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"

	"github.com/smimerelay/smimerelay/certs/revocation"
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
// as Lists. A list whose signature algorithm is not supported is passed over: what
// it covers stays unknown.
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
		if err != nil && !errors.Is(err, revocation.ErrUnsupported) {
			problems = append(problems, fmt.Errorf("revocation list %q: %w", f, err))
		}
		lists = append(lists, found...)
	}
	return lists, errors.Join(problems...)
}

func openList(path, folder string) ([]*revocation.List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if first, err := r.Peek(1); err == nil && first[0] == 0x30 { // a SEQUENCE, so DER
		l, err := revocation.ReadList(r, folder)
		if err != nil {
			return nil, err
		}
		return []*revocation.List{l}, nil
	}
	ders, err := ReadCRLs(path)
	if err != nil {
		return nil, err
	}
	var lists []*revocation.List
	for _, der := range ders {
		l, err := revocation.ReadList(bytes.NewReader(der), folder)
		if err != nil {
			return lists, err
		}
		lists = append(lists, l)
	}
	return lists, nil
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
	for block, err := range pemfile.Blocks(data) {
		if err != nil {
			return nil, err
		}
		if block.Type == "X509 CRL" {
			lists = append(lists, block.Bytes)
		}
	}
	if len(lists) == 0 {
		return nil, errNoCRL
	}
	return lists, nil
}
