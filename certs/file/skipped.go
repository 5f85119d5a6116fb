package file

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// A SkippedError names a certificate or a revocation list that was passed over because
// it could not be read. One odd certificate is no reason to do without the others.
type SkippedError struct {
	File   string // "" where it is not known
	List   bool   // a revocation list, not a certificate
	Number int    // in the file, from 1
	Err    error
}

// Error names the certificate or the list, and its place.
func (e *SkippedError) Error() string {
	what := "certificate"
	if e.List {
		what = "revocation list"
	}
	text := fmt.Sprintf("%s %d in it is skipped: %v", what, e.Number, e.Err)
	if e.File == "" {
		return text
	}
	return fmt.Sprintf("%ss %q: %s", what, e.File, text)
}

// Unwrap returns why it was skipped.
func (e *SkippedError) Unwrap() error { return e.Err }

// Skipped takes an error of ReadCertificates, ParseCertificates or OpenLists apart: what
// was passed over, and all else, which is nil where the rest is good to use.
func Skipped(err error) (skipped []*SkippedError, other error) {
	var others []error
	for _, e := range fault.Each(err) {
		if s, ok := errors.AsType[*SkippedError](e); ok {
			skipped = append(skipped, s)
		} else {
			others = append(others, e)
		}
	}
	if len(others) == 1 {
		return skipped, others[0]
	}
	return skipped, errors.Join(others...)
}

// joinSkipped makes an error of them, for a file.
func joinSkipped(skipped []*SkippedError, file string) error {
	list := make([]error, len(skipped))
	for i, s := range skipped {
		list[i] = &SkippedError{File: file, Number: s.Number, Err: s.Err}
	}
	return errors.Join(list...)
}

// reading collects the certificates of a file.
type reading struct {
	list    []*x509.Certificate
	skipped []*SkippedError
}

// take adds a certificate, or why it could not be read.
func (r *reading) take(c *x509.Certificate, err error) {
	if err != nil {
		r.skipped = append(r.skipped, &SkippedError{Number: len(r.list) + len(r.skipped) + 1, Err: err})
		return
	}
	r.list = append(r.list, c)
}
