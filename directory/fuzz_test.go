package directory

import (
	"net"
	"slices"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/smime/address"
)

// FuzzFilterTemplate: a template that is accepted makes a filter of the same
// shape for every address.
func FuzzFilterTemplate(f *testing.F) {
	f.Add(defaultFilter, "*)(uid=*")
	f.Add(`(mail=\2{local})`, "8")
	f.Add("(&(cn:dn:2.4.6:={addr})(!(uid=*{local}*)))", `\`)
	f.Fuzz(func(t *testing.T, template, local string) {
		parsed, err := parseFilter(template)
		if err != nil {
			return
		}
		a, err := address.ParseUnquoted(local + "@example.net")
		if err != nil {
			return
		}
		compile := func(filter string) *ber.Packet {
			p, err := ldap.CompileFilter(filter)
			if err != nil {
				t.Fatalf("template %q, address %q: %q: %v", template, a, filter, err)
			}
			return p
		}
		got, want := compile(parsed.expand(a)), compile(parsed.fill("x@example.net", "x", "example.net"))
		if !sameShape(got, want) {
			t.Errorf("template %q, address %q: %s", template, a, parsed.expand(a))
		}
	})
}

// sameShape compares two filters but for their values.
func sameShape(a, b *ber.Packet) bool {
	return a.Tag == b.Tag && a.ClassType == b.ClassType && slices.EqualFunc(a.Children, b.Children, sameShape)
}

// FuzzServerName: what is accepted can be dialed, or names a domain.
func FuzzServerName(f *testing.F) {
	f.Add("ldap://host:389/dc=x??sub?(mail={addr})")
	f.Add("ldapi://%2Frun%2Fldapi")
	f.Add("ldap:///dc=corp,dc=example")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseServer(text, LDAPConfig{})
		if err != nil || got.domain != "" || got.network == "unix" {
			return
		}
		if host, port, err := net.SplitHostPort(got.address); err != nil || host == "" || port == "" || got.host != host {
			t.Errorf("%q: %+v", text, got)
		}
	})
}

// FuzzMemberURL: what is accepted is a search.
func FuzzMemberURL(f *testing.F) {
	f.Add("ldap:///dc=x??sub?(uid=*)")
	f.Fuzz(func(t *testing.T, text string) {
		_, _, filter, err := parseMemberURL(text)
		if err != nil {
			return
		}
		if _, err := ldap.CompileFilter(filter); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
