package certs

import (
	"crypto/x509"
	"errors"
	"fmt"

	"go.mozilla.org/pkcs7"
)

// Limits for the bundle parser below, which recurses without bound and scans
// indefinite lengths in quadratic time.
const (
	maxBundle     = 8 << 20
	maxIndefinite = 64 << 10
	maxNesting    = 24
)

var (
	errBundleSize  = errors.New("bundle: too large")
	errBundleShape = errors.New("bundle: not well-formed, or nested too deeply")
)

// parseBundle reads a certs-only CMS bundle (RFC 5652 section 5, RFC 8551
// section 3.8), or the certificates of any SignedData.
func parseBundle(der []byte) (list []*x509.Certificate, err error) {
	if len(der) > maxBundle {
		return nil, errBundleSize
	}
	indefinite, ok := scan(der)
	if !ok {
		return nil, errBundleShape
	}
	if indefinite && len(der) > maxIndefinite {
		return nil, errBundleSize
	}
	defer func() {
		if p := recover(); p != nil {
			list, err = nil, fmt.Errorf("bundle: %v", p)
		}
	}()
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return p7.Certificates, nil
}

// scan walks BER without recursion. It reports indefinite lengths, and fails for
// what is nested deeper than maxNesting or does not fit.
func scan(b []byte) (indefinite, ok bool) {
	ends := []int{} // of the constructed values around pos; -1 is indefinite
	for pos := 0; ; {
		for len(ends) > 0 && ends[len(ends)-1] == pos {
			ends = ends[:len(ends)-1]
		}
		if len(ends) == 0 && pos > 0 {
			return indefinite, true // what follows the object is not ours
		}
		h, ok := readHeader(b[pos:])
		if !ok {
			return indefinite, false
		}
		pos += h.size
		switch {
		case h.endOfContents && len(ends) > 0 && ends[len(ends)-1] < 0:
			ends = ends[:len(ends)-1]
		case h.length < 0 && h.constructed:
			indefinite = true
			ends = append(ends, -1)
		case h.length < 0 || h.length > len(b)-pos:
			return indefinite, false
		case h.constructed:
			ends = append(ends, pos+h.length)
		default:
			pos += h.length
		}
		if len(ends) > maxNesting {
			return indefinite, false
		}
	}
}

// header is the identifier and length of a BER value; length -1 is indefinite.
type header struct {
	size, length               int
	constructed, endOfContents bool
}

func readHeader(b []byte) (header, bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f { // no CMS type has a high tag number
		return header{}, false
	}
	h := header{size: 2, length: int(b[1]), constructed: b[0]&0x20 != 0, endOfContents: b[0] == 0 && b[1] == 0}
	switch {
	case b[1] == 0x80:
		h.length = -1
	case b[1] > 0x80:
		n := int(b[1] & 0x7f)
		if n > 4 || len(b) < 2+n {
			return header{}, false
		}
		h.size, h.length = 2+n, 0
		for _, c := range b[2 : 2+n] {
			h.length = h.length<<8 | int(c)
		}
	}
	return h, true
}
