package directory

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Attributes that tell what an entry is.
const (
	attrObjectClass = "objectClass"
	attrControl     = "userAccountControl"
)

// accountDisabled is ADS_UF_ACCOUNTDISABLE in userAccountControl.
const accountDisabled = 0x2

// groupClasses are the object classes of groups, in lower case.
var groupClasses = []string{"group", "groupofnames", "groupofuniquenames", "groupofurls", "posixgroup"}

// baseName returns an attribute description without its options, in lower case:
// servers answer "userCertificate;binary" whichever spelling was asked for
// (RFC 4512 section 2.5, RFC 4522).
func baseName(description string) string {
	name, _, _ := strings.Cut(description, ";")
	return strings.ToLower(name)
}

// values returns the values of an attribute by its base name.
func values(e *ldap.Entry, base string) [][]byte {
	var all [][]byte
	for _, a := range e.Attributes {
		if baseName(a.Name) == base {
			all = append(all, a.ByteValues...)
		}
	}
	return all
}

// read collects the certificates of the entries of one address.
func (l *LDAP) read(entries []*ldap.Entry) Finding { return readEntries(l.bases, entries) }

// readEntries collects them from the attributes whose base names are given, the preferred
// first.
func readEntries(bases []string, entries []*ldap.Entry) Finding {
	group := len(groupsOf(entries)) > 0
	for _, e := range entries {
		e.DN = strings.Clone(e.DN[:min(len(e.DN), maxDN)])
	}
	entries, notes := ownEntries(entries)
	r := entryReader{seen: make(map[string]bool), notes: notes}
	for _, base := range bases {
		for _, e := range entries {
			r.read(e, base)
		}
	}
	if len(r.owners) > 1 {
		r.note("several entries have certificates for this address: %s", strings.Join(r.owners, "; "))
	}
	return Finding{
		Certificates: r.certificates,
		Claims:       r.claims,
		Group:        group,
		Notes:        r.notes,
	}
}

// ownEntries leaves out what bears the address without being its owner: groups,
// disabled accounts, and contacts where there is a user.
func ownEntries(entries []*ldap.Entry) (own []*ldap.Entry, notes []string) {
	var contacts []*ldap.Entry
	for _, e := range entries {
		switch {
		case hasClass(e, groupClasses...):
			notes = append(notes, fmt.Sprintf("entry %q ignored: a group", e.DN))
		case disabled(e):
			notes = append(notes, fmt.Sprintf("entry %q ignored: disabled", e.DN))
		case hasClass(e, "contact"):
			contacts = append(contacts, e)
		default:
			own = append(own, e)
		}
	}
	if len(own) == 0 {
		return contacts, notes
	}
	for _, e := range contacts {
		notes = append(notes, fmt.Sprintf("entry %q ignored: a contact, and there is a user", e.DN))
	}
	return own, notes
}

// groupsOf returns the groups among the entries of an address, none if it is
// a person's own.
func groupsOf(entries []*ldap.Entry) []*ldap.Entry {
	var groups []*ldap.Entry
	for _, e := range entries {
		if !hasClass(e, groupClasses...) {
			return nil
		}
		groups = append(groups, e)
	}
	return groups
}

func hasClass(e *ldap.Entry, classes ...string) bool {
	for _, class := range values(e, strings.ToLower(attrObjectClass)) {
		if slices.Contains(classes, strings.ToLower(string(class))) {
			return true
		}
	}
	return false
}

func disabled(e *ldap.Entry) bool {
	for _, v := range values(e, strings.ToLower(attrControl)) {
		if flags, err := strconv.ParseInt(string(v), 10, 64); err == nil && flags&accountDisabled != 0 {
			return true
		}
	}
	return false
}

// entryReader gathers certificates, each once.
type entryReader struct {
	certificates []*x509.Certificate
	claims       []Claim
	owners       []string // DNs of the entries that added one
	notes        []string
	seen         map[string]bool
}

// maxNotes, maxDN and maxValues bound what is kept of a server's answer, which a stranger may
// have written: notes, octets of a name in them, and values of one attribute of an entry.
const (
	maxNotes  = 50
	maxDN     = 512
	maxValues = 200
)

func (r *entryReader) note(format string, args ...any) {
	if len(r.notes) >= maxNotes {
		return
	}
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *entryReader) read(e *ldap.Entry, base string) {
	list := values(e, base)
	if len(list) > maxValues {
		r.note("entry %q: of %d values of %s the first %d are read", e.DN, len(list), base, maxValues)
		list = list[:maxValues]
	}
	for _, value := range list {
		if len(value) > maxValue {
			r.note("entry %q: value of %s with %d octets ignored", e.DN, base, len(value))
			continue
		}
		found, problems := parseValue(value)
		for _, problem := range problems {
			r.note("entry %q: value of %s ignored: %v", e.DN, base, problem)
		}
		r.claims = append(r.claims, found.Claims...)
		for _, c := range found.Certificates {
			r.add(e.DN, c)
		}
	}
}

func (r *entryReader) add(dn string, c *x509.Certificate) {
	if r.seen[string(c.Raw)] {
		return
	}
	r.seen[string(c.Raw)] = true
	r.certificates = append(r.certificates, c)
	if !slices.Contains(r.owners, dn) {
		r.owners = append(r.owners, dn)
	}
}
