package path

import (
	"crypto/x509"
	"encoding/asn1"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// Tags of GeneralName (RFC 5280 section 4.2.1.6) that constraints may be about.
const (
	nameOther     = 0
	nameMailbox   = 1
	nameDNS       = 2
	nameDirectory = 4
	nameURI       = 6
	nameIP        = 7
)

// subtree is one GeneralSubtree.
type subtree struct {
	kind int
	text string   // mailbox, DNS, URI
	rdns []string // directory
	ip   []byte   // address and mask
}

// constraints is the extension of RFC 5280 section 4.2.1.10.
type constraints struct {
	permitted, excluded []subtree
}

// readConstraints returns the constraints of c, nil if it has none; ok is false
// if they are not well-formed or use forms that are not defined.
func readConstraints(c *x509.Certificate) (_ *constraints, ok bool) {
	value, present := pkix.Extension(c, oidNameConstraints)
	if !present {
		return nil, true
	}
	s := cryptobyte.String(value)
	var seq, permitted, excluded cryptobyte.String
	var hasPermitted, hasExcluded bool
	if !s.ReadASN1(&seq, cryptobyte_asn1.SEQUENCE) || !s.Empty() ||
		!seq.ReadOptionalASN1(&permitted, &hasPermitted, cryptobyte_asn1.Tag(0).ContextSpecific().Constructed()) ||
		!seq.ReadOptionalASN1(&excluded, &hasExcluded, cryptobyte_asn1.Tag(1).ContextSpecific().Constructed()) ||
		!seq.Empty() {
		return nil, false
	}
	var n constraints
	if n.permitted, ok = readSubtrees(permitted); !ok {
		return nil, false
	}
	n.excluded, ok = readSubtrees(excluded)
	return &n, ok
}

func readSubtrees(s cryptobyte.String) ([]subtree, bool) {
	var list []subtree
	for !s.Empty() {
		var one, value cryptobyte.String
		var tag cryptobyte_asn1.Tag
		// Minimum must be its default and maximum absent: nothing may follow.
		if !s.ReadASN1(&one, cryptobyte_asn1.SEQUENCE) || !one.ReadAnyASN1(&value, &tag) || !one.Empty() {
			return nil, false
		}
		t, ok := readSubtree(int(tag&0x1f), value)
		if !ok {
			return nil, false
		}
		list = append(list, t)
	}
	return list, true
}

func readSubtree(kind int, value cryptobyte.String) (subtree, bool) {
	t := subtree{kind: kind}
	switch kind {
	case nameMailbox, nameDNS, nameURI:
		t.text = string(value)
		return t, pkix.IsASCII(t.text)
	case nameDirectory:
		var ok bool
		t.rdns, ok = pkix.RDNs(value)
		return t, ok
	case nameIP:
		t.ip = value
		return t, len(value) == 8 || len(value) == 32
	}
	return t, true // matches no name, and so permits none of its kind
}

// subjectName is a name of a certificate in the form that constraints look at.
type subjectName struct {
	kind  int
	text  string
	rdns  []string
	utf8  bool // SmtpUTF8Mailbox
	valid bool
}

// subjectNames returns every name of c to which constraints apply: the subject,
// the alternative names, and the emailAddress of the subject where no
// alternative name is a mailbox.
func subjectNames(c *x509.Certificate) []subjectName {
	var names []subjectName
	if subject, ok := pkix.RDNs(c.RawSubject); !ok || len(subject) > 0 {
		names = append(names, subjectName{kind: nameDirectory, rdns: subject, valid: ok})
	}
	for _, m := range pkix.Mailboxes(c) {
		_, err := certs.ParseMailbox(m.Text, m.UTF8)
		names = append(names, subjectName{kind: nameMailbox, text: m.Text, utf8: m.UTF8, valid: err == nil})
	}
	for _, e := range c.Extensions {
		if !e.Id.Equal(pkix.OIDSubjectAltName) {
			continue
		}
		pkix.EachGeneralName(e.Value, func(tag cryptobyte_asn1.Tag, value cryptobyte.String) {
			if n, ok := otherThanMailbox(int(tag&0x1f), value); ok {
				names = append(names, n)
			}
		})
	}
	return names
}

// otherThanMailbox reads a GeneralName that mailboxes leaves out.
func otherThanMailbox(kind int, value cryptobyte.String) (subjectName, bool) {
	n := subjectName{kind: kind, text: string(value), valid: true}
	switch kind {
	case nameMailbox:
		return n, false
	case nameOther:
		_, mailbox := pkix.UTF8Mailbox(value)
		return n, !mailbox
	case nameDirectory:
		n.rdns, n.valid = pkix.RDNs(value)
	}
	return n, true
}

// maxComparisons limits how many names are compared with how many constraints.
const maxComparisons = 1 << 20

// tooMany reports that checking the names would take too long.
func (n *constraints) tooMany(names []subjectName) bool {
	return len(names) > 0 && len(n.permitted)+len(n.excluded) > maxComparisons/len(names)
}

// check returns the first name of c that n does not allow, "" if it allows all.
func (n *constraints) check(names []subjectName) string {
	for _, name := range names {
		if !n.allows(name) {
			if name.kind == nameDirectory {
				return "directory name"
			}
			return name.text
		}
	}
	return ""
}

func (n *constraints) allows(name subjectName) bool {
	sameKind := func(t subtree) bool { return t.kind == name.kind }
	matches := func(t subtree) bool { return t.kind == name.kind && t.matches(name) }
	if !name.valid { // what cannot be read cannot be compared
		return !slices.ContainsFunc(n.permitted, sameKind) && !slices.ContainsFunc(n.excluded, sameKind)
	}
	if slices.ContainsFunc(n.excluded, func(t subtree) bool { return matches(t) || t.opaque() && sameKind(t) }) {
		return false
	}
	return !slices.ContainsFunc(n.permitted, sameKind) || slices.ContainsFunc(n.permitted, matches)
}

// opaque reports a kind of name that is not understood.
func (t subtree) opaque() bool {
	switch t.kind {
	case nameMailbox, nameDNS, nameDirectory, nameURI, nameIP:
		return false
	}
	return true
}

// matches reports whether name lies within t, which is of its kind.
func (t subtree) matches(name subjectName) bool {
	switch t.kind {
	case nameMailbox:
		return t.matchesMailbox(name)
	case nameDNS:
		return withinDomain(strings.TrimPrefix(t.text, "."), name.text, true)
	case nameDirectory:
		return len(t.rdns) <= len(name.rdns) && slices.Equal(t.rdns, name.rdns[:len(t.rdns)])
	case nameURI:
		u, err := url.Parse(name.text)
		return err == nil && u.Hostname() != "" && hostMatches(t.text, u.Hostname())
	case nameIP:
		network := net.IPNet{IP: t.ip[:len(t.ip)/2], Mask: t.ip[len(t.ip)/2:]}
		return len(name.text) == len(t.ip)/2 && network.Contains(net.IP(name.text))
	}
	return false
}

// matchesMailbox follows RFC 5280 section 4.2.1.10: a mailbox, a host, or all
// hosts of a domain; for SmtpUTF8Mailboxes RFC 9598 section 6.
func (t subtree) matchesMailbox(name subjectName) bool {
	a, err := certs.ParseMailbox(name.text, name.utf8)
	if err != nil {
		return false
	}
	if !strings.Contains(t.text, "@") {
		return hostMatches(t.text, a.Domain())
	}
	b, err := address.Parse(t.text)
	return err == nil && a.Equal(b, address.ExactCase)
}

// hostMatches compares a host with a constraint that is a host or, with a
// leading dot, everything below a domain.
func hostMatches(constraint, host string) bool {
	if domain, ok := strings.CutPrefix(constraint, "."); ok {
		return withinDomain(domain, host, false)
	}
	return strings.EqualFold(constraint, host)
}

func withinDomain(domain, host string, itself bool) bool {
	domain, host = strings.ToLower(domain), strings.ToLower(host)
	return domain == "" || itself && host == domain || strings.HasSuffix(host, "."+domain)
}
