package ca

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Place is where an authority publishes: NAME.crl is its revocation list and
// NAME.cer its certificate, both DER (RFC 2585), below the address URL.
type Place struct {
	URL  string // http://host/path/
	Name string // Root, Issuing, or that of a further generation: "issuing-2"
}

// The names of the first two authorities.
const (
	Root    = "root"
	Issuing = "issuing"
)

// CRL is the name of the file with the revocation list.
func (p Place) CRL() string { return p.Name + ".crl" }

// Certificate is the name of the file with the authority's certificate.
func (p Place) Certificate() string { return p.Name + ".cer" }

// OCSP is what follows the address URL where the status of certificates is asked for: one
// place for all authorities.
const OCSP = "ocsp"

func (p Place) ocspURL() string        { return p.At(OCSP) }
func (p Place) crlURL() string         { return p.At(p.CRL()) }
func (p Place) certificateURL() string { return p.At(p.Certificate()) }

// At is the address of a file.
func (p Place) At(file string) string { return strings.TrimSuffix(p.URL, "/") + "/" + file }

var generation = regexp.MustCompile(` G([1-9][0-9]{0,3})$`)

// GenerationOf returns the generation that the name of an issuing authority bears;
// 1 where it bears none.
func GenerationOf(cert *x509.Certificate) int {
	if m := generation.FindStringSubmatch(cert.Subject.CommonName); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return n
		}
	}
	return 1
}

// IssuingName returns the name of an issuing authority's files: each generation has
// its own, since what the one before issued names those of that one.
func IssuingName(cert *x509.Certificate) string {
	if n := GenerationOf(cert); n > 1 {
		return fmt.Sprintf("%s-%d", Issuing, n)
	}
	return Issuing
}

// checkURL says what is wrong with the address under which an authority publishes.
// It must be http: to fetch a revocation list over https a client would need one
// for that first (RFC 5280 section 8, BR 7.1.2.3 b).
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("%q is not an address such as http://pki.example.com/smime/", text)
	case u.Scheme != "http":
		return fmt.Errorf("%q is not http, and revocation lists must be; they are signed, and fetching them over https would need one first", text)
	}
	return nil
}

func (p Place) check() error {
	if p.Name != Root && p.Name != Issuing && !strings.HasPrefix(p.Name, Issuing+"-") {
		return fmt.Errorf("authority: place has no name")
	}
	return checkURL(p.URL)
}
