// Package path validates certification paths as RFC 5280 section 6 and RFC 8550
// ask for, with revocation, and explains every no.
package path

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Config says whom to trust and how strictly to judge.
type Config struct {
	// Anchors are the trust anchors, the only ones: the system's do not count.
	// An anchor that is no authority is trusted for itself alone.
	Anchors []*x509.Certificate
	// AnchorRevocation is the mode for paths that end at an anchor, where it has
	// one of its own: it comes before that of a request.
	AnchorRevocation map[[sha256.Size]byte]certs.RevocationMode
	// DistrustAfter are anchors of which certificates count only if their notBefore is
	// not later, by fingerprint.
	DistrustAfter map[[sha256.Size]byte]time.Time
	// Intermediates help to build paths and are not trusted.
	Intermediates []*x509.Certificate
	// Exceptions trust or block single certificates.
	Exceptions []Exception
	// CRLs are revocation lists in DER, Lists those that were opened by
	// OpenLists.
	CRLs  [][]byte
	Lists []*revocation.List
	// Fetcher asks the revocation services that certificates name, for chains
	// that lead to a trust anchor; nil: no lookup is made. The caller closes it.
	Fetcher *revocation.Fetcher
	// ParseIssuers also has missing intermediates fetched, from the addresses that
	// certificates name (RFC 5280 section 4.2.2.1), and reads what is there:
	// x509.ParseCertificates reads DER, certs/file.ParseCertificates all common
	// forms. Nil: none are fetched. These are chains that lead nowhere yet: the
	// sender of a message can see by it when the message is read.
	ParseIssuers func([]byte) ([]*x509.Certificate, error)
	// Revocation is what an unknown status means where the request does not
	// say; "" is RevocationRequire.
	Revocation certs.RevocationMode
	// LocalPart is how local parts of addresses are compared.
	LocalPart address.LocalPart
	// AllowSHA1 accepts signatures with SHA-1, AllowRSA1024 RSA keys of 1024
	// bits and more: both only for archives.
	AllowSHA1, AllowRSA1024 bool
	// RequirePolicy demands that all certificates of a path have a policy in
	// common, one of Policies where there are any. InhibitPolicyMapping and
	// InhibitAnyPolicy are the further inputs of RFC 5280 section 6.1.1.
	RequirePolicy, InhibitPolicyMapping, InhibitAnyPolicy bool
	Policies                                              []x509.OID
	// Clock is time.Now where nil.
	Clock func() time.Time
}

// Validator judges certificates. It is safe for concurrent use.
type Validator struct {
	cfg           Config
	anchors       map[string][]*node // by the key of the subject
	anchorSet     map[fingerprint]bool
	exceptions    map[fingerprint][]Exception
	intermediates map[string][]*node
	lists         *revocation.Lists
	paths         *memory
}

var _ certs.Checker = (*Validator)(nil)

// NewValidator checks cfg and returns a Validator for it.
func NewValidator(cfg Config) (*Validator, error) {
	cfg.Revocation = cmp.Or(cfg.Revocation, certs.RevocationRequire)
	for _, mode := range append(slices.Collect(maps.Values(cfg.AnchorRevocation)), cfg.Revocation) {
		switch mode {
		case "", certs.RevocationRequire, certs.RevocationPrefer, certs.RevocationOff:
		default:
			return nil, fmt.Errorf(`validator: revocation %q is not known; use "require", "prefer" or "off"`, mode)
		}
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	lists := slices.Clone(cfg.Lists)
	for i, der := range cfg.CRLs {
		l, err := revocation.ParseList(der)
		if err != nil {
			return nil, fmt.Errorf("revocation list %d of %d: %w", i+1, len(cfg.CRLs), err)
		}
		lists = append(lists, l)
	}
	v := &Validator{cfg: cfg, anchorSet: map[fingerprint]bool{}, lists: revocation.NewLists(lists...), paths: newMemory()}
	v.exceptions = byFingerprint(cfg.Exceptions)
	v.anchors = bySubject(cfg.Anchors)
	v.intermediates = bySubject(cfg.Intermediates)
	for _, list := range v.anchors {
		for _, n := range list {
			v.anchorSet[n.fp] = true
		}
	}
	return v, nil
}

// Offline returns a Validator that judges by what is at hand, and asks no service.
func (v *Validator) Offline() *Validator {
	o := *v
	o.cfg.Fetcher = nil
	o.paths = newMemory() // those of v may lead over what was fetched
	return &o
}

// Held returns the certificates among anchors and intermediates that id names: a
// signer's, for messages that do not bring it.
func (v *Validator) Held(id cms.ID) []*x509.Certificate {
	var found []*x509.Certificate
	for _, list := range [][]*x509.Certificate{v.cfg.Intermediates, v.cfg.Anchors} {
		for _, c := range list {
			if id.Matches(c) {
				found = append(found, c)
			}
		}
	}
	return found
}

func bySubject(list []*x509.Certificate) map[string][]*node {
	m := map[string][]*node{}
	for _, c := range list {
		n := newNode(c)
		m[n.subject] = append(m[n.subject], n)
	}
	return m
}
