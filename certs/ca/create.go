package ca

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
)

// Plan describes authorities to be made.
type Plan struct {
	// Organization and Country (two letters) are the names that BR 7.1.4.3 wants in
	// an authority's certificate.
	Organization, Country string
	// URL is where both publish; see Place.
	URL string
	// Key is "p256", "p384", "rsa2048", "rsa3072" or "rsa4096", which "" is.
	Key string
	// Generation tells issuing authorities below one root apart; 0 and 1 are the
	// first.
	Generation int
	// Domains limit the issuing authority to addresses of these domains
	// (".example.com": those below it); none is no limit.
	Domains []string
	Clock   func() time.Time // nil is time.Now
}

// What the names of the two say.
const (
	kindRoot    = "Root"
	kindIssuing = "Issuing"
)

// How long authorities live. The root outlives two issuing authorities.
const (
	rootYears    = 20
	issuingYears = 10
)

// Pair are a root and the issuing authority below it. The root's chain is empty;
// that of the issuing authority is too, since the root is what partners have.
type Pair struct{ Root, Issuing *certs.Identity }

// Create makes both authorities.
func Create(p Plan) (*Pair, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	from := p.from()
	root, err := p.root(from)
	if err != nil {
		return nil, err
	}
	issuing, err := p.issuing(from, root)
	if err != nil {
		return nil, err
	}
	return &Pair{Root: root, Issuing: issuing}, nil
}

// CreateIssuing makes another issuing authority below a root.
func CreateIssuing(p Plan, root *certs.Identity) (*certs.Identity, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	from := p.from()
	if end := root.Certificate.NotAfter; end.Before(from.AddDate(1, 0, 0)) {
		return nil, fmt.Errorf("root: it expires on %s; create a new one, and send it to your partners", end.Format(time.DateOnly))
	}
	return p.issuing(from, root)
}

func (p *Plan) from() time.Time {
	clock := p.Clock
	if clock == nil {
		clock = time.Now
	}
	return clock().UTC().Truncate(time.Second).Add(-backdate)
}

func (p *Plan) check() error {
	if strings.TrimSpace(p.Organization) == "" || len(p.Organization) > 64 {
		return errors.New("organization: missing or too long; set the name of your organization, at most 64 characters, which partners will see")
	}
	if len(p.Country) != 2 || strings.ToUpper(p.Country) != p.Country {
		return fmt.Errorf("country %q: use the two capital letters of ISO 3166, such as DE", p.Country)
	}
	if p.Key == "" {
		p.Key = authorityKind
	}
	return checkURL(p.URL)
}

func (p *Plan) name(kind string, from time.Time) pkix.Name {
	common := shorten(p.Organization, 36) + fmt.Sprintf(" S/MIME %s CA %d", kind, from.Year())
	if p.Generation > 1 && kind == kindIssuing {
		common += fmt.Sprintf(" G%d", p.Generation)
	}
	return pkix.Name{Country: []string{p.Country}, Organization: []string{p.Organization}, CommonName: common}
}

// shorten cuts a text at a character, so that a common name stays within its 64.
func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) > most {
		runes = runes[:most]
	}
	return strings.TrimSpace(string(runes))
}

// root makes a self-signed authority (BR 7.1.2.1).
func (p *Plan) root(from time.Time) (*certs.Identity, error) {
	key, err := authorityKey(p.Key)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		Subject:   p.name(kindRoot, from),
		NotBefore: from, NotAfter: from.AddDate(rootYears, 0, 0).Add(-time.Second),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true,
	}
	cert, err := certify(t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &certs.Identity{Certificate: cert, Key: key}, nil
}

// issuing makes the authority below root (BR 7.1.2.2): for mail only, and with
// no authority below itself. Its name constraints are not critical, as BR 7.1.2.2 f
// lets them be: GnuPG knows none and would refuse the chain.
func (p *Plan) issuing(from time.Time, root *certs.Identity) (*certs.Identity, error) {
	key, err := authorityKey(p.Key)
	if err != nil {
		return nil, err
	}
	anyPolicy, err := x509.OIDFromInts([]uint64{2, 5, 29, 32, 0})
	if err != nil {
		return nil, err
	}
	until := from.AddDate(issuingYears, 0, 0).Add(-time.Second)
	if end := root.Certificate.NotAfter; until.After(end) {
		until = end
	}
	above := Place{URL: p.URL, Name: Root}
	t := &x509.Certificate{
		Subject:   p.name(kindIssuing, from),
		NotBefore: from, NotAfter: until,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		Policies:                []x509.OID{anyPolicy}, // BR 7.1.6.3, option 2
		CRLDistributionPoints:   []string{above.crlURL()},
		IssuingCertificateURL:   []string{above.certificateURL()},
		PermittedEmailAddresses: p.Domains,
	}
	by, ok := root.Key.(crypto.Signer)
	if !ok {
		return nil, errors.New("root: its key does not sign")
	}
	cert, err := certify(t, root.Certificate, key.Public(), by)
	if err != nil {
		return nil, err
	}
	return &certs.Identity{Certificate: cert, Key: key}, nil
}
