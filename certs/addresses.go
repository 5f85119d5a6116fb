package certs

import (
	"crypto/x509"
	"errors"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

var errNotIA5 = errors.New("rfc822Name with characters beyond ASCII")

// Addresses returns the mailboxes that cert names: the rfc822Names and
// SmtpUTF8Mailboxes (RFC 9598) of the subjectAltName and, only where that holds
// no mailbox at all, the emailAddress of the subject (RFC 8550 section 3). A
// name that is not exactly one addr-spec, by a blank, a control, a NUL or a second
// "@", is not an address.
func Addresses(cert *x509.Certificate) []address.Address {
	names := pkix.Mailboxes(cert)
	var list []address.Address
	seen := map[string]bool{}
	for _, n := range names {
		a, err := ParseMailbox(n.Text, n.UTF8)
		if err != nil || seen[a.Key(address.ExactCase)] {
			continue
		}
		seen[a.Key(address.ExactCase)] = true
		list = append(list, a)
	}
	return list
}

// ParseMailbox returns the address that a name of a certificate is: a
// SmtpUTF8Mailbox if utf8 says so, else an rfc822Name, which has ASCII only (RFC
// 9598 section 3).
func ParseMailbox(name string, utf8 bool) (address.Address, error) {
	if !utf8 && !pkix.IsASCII(name) {
		return address.Address{}, errNotIA5
	}
	return address.Parse(name)
}
