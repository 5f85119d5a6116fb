package file

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pemfile"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// maxFile limits a file of certificates or an identity, in octets. The largest
// collections of trust anchors in use are below 2 MB.
const maxFile = 16 << 20

// sequence is the tag of the outermost element of a certificate in DER.
const sequence = 0x30

var errNoCertificate = errors.New("no certificate in it; use a file in PEM, DER, .p7b or .sst")

// certificateSuffixes are the names that count in a folder.
var certificateSuffixes = []string{".pem", ".crt", ".cer", ".der", ".p7b", ".p7c", ".sst"}

// ReadCertificates reads the certificates of a file (PEM, DER, a certs-only
// CMS bundle as in .p7b, or a Microsoft serialized store as in .sst), or of all
// such files of a folder, not of its subfolders. A file without a certificate is
// an error, an empty folder is not. Doubles are left out. Single certificates that
// cannot be read are passed over: the error then has SkippedErrors in it, and the
// list is good.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	files, err := filesOf(path, certificateSuffixes)
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	var problems []error
	for _, f := range files {
		found, err := readCertificateFile(f)
		problems = append(problems, fault.Each(err)...)
		list = append(list, found...)
	}
	return unique(list), errors.Join(problems...)
}

func readCertificateFile(path string) ([]*x509.Certificate, error) {
	data, err := readLimited(path, maxFile)
	if err != nil {
		return nil, err
	}
	list, err := ParseCertificates(data)
	skipped, err := Skipped(err)
	if err != nil {
		return nil, fmt.Errorf("certificates %q: %w", path, err)
	}
	return list, joinSkipped(skipped, path)
}

// ParseCertificates finds the certificates in PEM, DER, certs-only CMS or a
// serialized store. Finding none is an error. Where the list is not empty an error
// is about what was passed over, as with ReadCertificates.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	var r reading
	var err error
	switch {
	case pemfile.Is(data):
		err = parsePEM(data, &r)
	case isSerializedStore(data):
		err = parseSerializedStore(data, &r)
	default:
		err = parseDER(data, &r)
	}
	switch {
	case err != nil:
		return nil, err
	case len(r.list) > 0:
		return r.list, joinSkipped(r.skipped, "")
	case len(r.skipped) > 0:
		first := r.skipped[0]
		return nil, fmt.Errorf("certificate %d in it cannot be read: %w; ask its owner for another one", first.Number, first.Err)
	}
	return nil, errNoCertificate
}

// parsePEM reads all blocks of certificates and passes over those of another type,
// such as the private key of an identity.
func parsePEM(data []byte, r *reading) error {
	for block, err := range pemfile.Blocks(data) {
		if err != nil {
			return err
		}
		parseBlock(block, r)
	}
	return nil
}

// parseBlock reads the certificates of a PEM block, none of one of another type.
func parseBlock(b *pem.Block, r *reading) {
	switch b.Type {
	case pemfile.Certificate, pemfile.PKCS7:
		if err := parseDER(b.Bytes, r); err != nil {
			r.take(nil, err)
		}
	case pemfile.TrustedCertificate:
		// OpenSSL's own form: a certificate with its opinion of it behind.
		var cert asn1.RawValue
		if _, err := asn1.Unmarshal(b.Bytes, &cert); err != nil {
			r.take(nil, err)
			return
		}
		r.take(pkix.ParseCertificate(cert.FullBytes))
	}
}

// parseDER reads one certificate or a bundle.
func parseDER(der []byte, r *reading) error {
	if isCMS(der) {
		return parseBundle(der, r)
	}
	if len(der) == 0 || der[0] != sequence {
		return errNoCertificate
	}
	cert, err := pkix.ParseCertificate(der)
	if err != nil {
		return err
	}
	r.take(cert, nil)
	return nil
}

func unique(list []*x509.Certificate) []*x509.Certificate {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(c *x509.Certificate) bool {
		double := seen[string(c.Raw)]
		seen[string(c.Raw)] = true
		return double
	})
}

var errNotRegular = errors.New("not a regular file")

// filesOf returns path itself, or the files of the folder path whose names have
// one of the suffixes, in order of their names. A pipe or a socket among them is an
// error: to open it could take forever.
func filesOf(path string, suffixes []string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		suffix := strings.ToLower(filepath.Ext(e.Name()))
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !slices.Contains(suffixes, suffix) {
			continue
		}
		name := filepath.Join(path, e.Name())
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
			return nil, &fs.PathError{Op: "read", Path: name, Err: errNotRegular}
		}
		files = append(files, name)
	}
	return files, nil
}

// readLimited reads a file of at most limit octets.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("file %q: over %d octets", path, limit)
	}
	return data, nil
}
