package directory

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/smime/address"
)

// hostileLocal generates local parts that would change a filter if they could.
func hostileLocal() *rapid.Generator[string] {
	pieces := rapid.SampledFrom([]string{
		"*", "(", ")", "\\", "&", "|", "!", "=", "<", ">", "~", ":", ";", ",", "+", "\"", "#", "/", " ", "@", "{addr}", "{local}",
		"*)(mail=*", ")(|(uid=*", "\\2a", "\\00", "victim", "a", "Z", "9", "ä", "ß", "\u0130", "\u2028x", "日", "\u00a0", "\ufe0f", "'", "%00",
	})
	return rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(pieces, 1, 12).Draw(t, "pieces"), "")
		return s[:min(len(s), 60)]
	})
}

// TestNoAddressChangesTheFilter looks hostile addresses up on a real server. Where
// an entry has exactly the address, it and only it is found; where none has,
// nothing is.
func TestNoAddressChangesTheFilter(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	victims, own := issue(t, "victim@example.net", 0), issue(t, bob, 0)
	s.Set(t, s.AddPerson(t, "victim@example.net", victims), "uid", "victim")
	s.AddPerson(t, "other@example.net", victims)
	byMail := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}})
	byUID := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Filter: "(uid={local})"})
	const dn = "cn=own," + slapdtest.People
	rapid.Check(t, func(r *rapid.T) {
		local := hostileLocal().Draw(r, "local")
		if !utf8.ValidString(local) {
			r.Skip("cut in the middle of a character")
		}
		a, err := address.ParseUnquoted(local + "@example.net")
		if err != nil {
			r.Skip("not an address")
		}
		if fold(local) == "victim" {
			r.Skip("the victim's own address")
		}
		check := func(l *LDAP, want ...*x509.Certificate) {
			f, err := l.Find(t.Context(), a)
			if err != nil || !slices.EqualFunc(f.Certificates, want, (*x509.Certificate).Equal) {
				r.Errorf("%q: found %d certificates, want %d, %v", a, len(f.Certificates), len(want), err)
			}
		}
		check(byMail)
		check(byUID)
		entry := slapdtest.Attributes{
			"objectClass": {"inetOrgPerson"}, "cn": {"own"}, "sn": {"own"}, "uid": {local},
			"userCertificate;binary": {string(own.Raw)},
		}
		if a.ASCII() {
			entry["mail"] = []string{a.String()}
		}
		s.Add(t, dn, entry)
		defer s.Delete(t, dn)
		check(byUID, own)
		if a.ASCII() {
			check(byMail, own)
		}
	})
}

// fold is what caseIgnoreMatch makes of a value, roughly (RFC 4518).
func fold(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\u00a0' {
			return ' '
		}
		if r == '\ufe0f' {
			return -1
		}
		return r
	}, s)
	return strings.ToLower(strings.TrimSpace(s))
}
