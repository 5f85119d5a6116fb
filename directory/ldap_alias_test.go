package directory

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/address"
)

// aliasServer has entries with several addresses, as Active Directory has them.
func aliasServer(tb testing.TB) *slapdtest.Server {
	tb.Helper()
	s := slapdtest.Start(tb, slapdtest.Config{})
	add := func(name, class, mail string, proxies ...string) {
		a := slapdtest.Attributes{"objectClass": {class}, "cn": {name}, "mail": {mail}, "proxyAddresses": proxies}
		if class != "group" {
			a["sn"] = []string{name}
		}
		s.Add(tb, dnOf(name), a)
	}
	add("nora", "user", "nora@example.net", "SMTP:nora@example.net", "smtp:Nora.Vik@example.net", "n.vik@example.net",
		"smtp:nora@far.example", "smtp:desk@example.net", "smtp:office@example.net", "smtp:all@example.net", "smtp:gone@example.net", "X500:/o=Example/cn=nora")
	add("odd", "user", "odd@example.net", "smtp:desk@example.net")
	add("office", "contact", "office@example.net", "smtp:pat@example.net", "smtp:patricia@example.net")
	add("all", "group", "all@example.net", "smtp:everyone@example.net", "smtp:people@example.net")
	add("gone", "user", "gone@example.net", "smtp:left@example.net", "smtp:former@example.net")
	s.Set(tb, dnOf("gone"), "userAccountControl", "514")
	add("una", "user", "twin@example.net", "smtp:una@example.net")
	add("una2", "user", "twin@example.net", "smtp:una@example.net")
	return s
}

func TestAddressesOfOneEntryAreOneMailbox(t *testing.T) {
	t.Parallel()
	s := aliasServer(t)
	in := func(domains []string, aliases ...string) *Directory {
		l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Aliases: aliases})
		return open(t, Config{Sources: append(sources(&fakeSource{name: "other"}), SourceConfig{Source: l, Domains: domains})})
	}
	every := in(nil, "proxyAddresses", "mailAlternateAddress", "Mail") // the server knows no mailAlternateAddress
	some := in([]string{"example.net"}, "proxyAddresses")
	for _, c := range []struct {
		d    *Directory
		a, b string
		want bool
	}{
		{every, "nora@example.net", "nora.vik@example.net", true},
		{every, "NORA.VIK@example.net", "nora@Example.NET", true},
		{every, "n.vik@example.net", "nora.vik@example.net", true},
		{every, "nora@example.net", "nora@far.example", true},
		{some, "nora@example.net", "nora@far.example", false}, // not a domain of the directory
		{some, "nora@far.example", "nora@example.net", false},
		{some, "nora@example.net", "n.vik@example.net", true},
		{every, "nora@example.net", "odd@example.net", false},
		{every, "nora@example.net", "desk@example.net", false}, // odd's, too
		{every, "desk@example.net", "nora@example.net", false},
		{every, "odd@example.net", "desk@example.net", false},
		{every, "nora@example.net", "office@example.net", false}, // a contact has it, too
		{every, "pat@example.net", "patricia@example.net", false},
		{every, "nora@example.net", "all@example.net", false}, // a group has it, too
		{every, "people@example.net", "everyone@example.net", false},
		{every, "gone@example.net", "left@example.net", false}, // disabled
		{every, "left@example.net", "former@example.net", false},
		{every, "una@example.net", "twin@example.net", false}, // two entries have both
		{every, "absent@example.net", "nora@example.net", false},
		{every, "nora@example.net", "absent@example.net", false},
		{every, "*@example.net", "nora@example.net", false},
		{in(nil), "nora@example.net", "nora.vik@example.net", false}, // not configured
	} {
		same, err := c.d.SameOwner(t.Context(), addr(t, c.a), addr(t, c.b))
		if same.Same != c.want || err != nil {
			t.Errorf("%s, %s: %+v, %v, want %t", c.a, c.b, same, err, c.want)
		}
	}
	for a, want := range map[string]string{
		"n.vik@example.net": "nora@example.net Nora.Vik@example.net nora@far.example desk@example.net office@example.net all@example.net gone@example.net",
		"pat@example.net":   "", "people@example.net": "", "left@example.net": "", "absent@example.net": "",
	} {
		if list, err := every.Aliases(t.Context(), addr(t, a)); err != nil || joined(list) != want {
			t.Errorf("listed beside %s: %q, %v, want %q", a, joined(list), err, want)
		}
	}
	s.Stop(t)
	if same, err := in(nil, "proxyAddresses").SameOwner(t.Context(), addr(t, "nora@example.net"), addr(t, "n.vik@example.net")); same.Same || err == nil || !strings.Contains(err.Error(), "ldap:test") {
		t.Errorf("down: %+v, %v", same, err)
	}
}

func TestAliasesAreNamesOfAttributes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a b", "mail)(uid", "mail;binary", "1.2.3", "mail=*"} {
		if _, err := NewLDAP(LDAPConfig{URLs: []string{"ldap://x"}, Aliases: []string{name}}); err == nil || !strings.Contains(err.Error(), "aliases") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestCertificateThatNamesAnAlias: whichever of its addresses the certificate of an
// entry names, it serves all of them, where the directory says which belong together.
func TestCertificateThatNamesAnAlias(t *testing.T) {
	t.Parallel()
	s := aliasServer(t)
	ca := testCA()
	issued := func(address string) string {
		return string(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{address}})).Certificate.Raw)
	}
	validator := testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff}))
	in := func(domains []string, aliases ...string) *Directory {
		l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Aliases: aliases})
		return open(t, Config{Sources: []SourceConfig{{Source: l, Domains: domains}}, Checker: validator})
	}
	for _, c := range []struct {
		names, to string
		domains   []string
		aliases   []string
		want      bool
	}{
		{"nora.vik@example.net", "nora@example.net", nil, []string{"proxyAddresses"}, true},
		{"nora@example.net", "n.vik@example.net", nil, []string{"proxyAddresses"}, false}, // the filter does not find it
		{"n.vik@example.net", "nora.vik@example.net", nil, []string{"proxyAddresses"}, true},
		{"nora@example.net", "nora.vik@example.net", nil, []string{"proxyAddresses"}, true},
		{"nora@example.net", "nora.vik@example.net", nil, nil, false},
		{"nora@far.example", "nora@example.net", nil, []string{"proxyAddresses"}, true},
		{"nora@far.example", "nora@example.net", []string{"example.net"}, []string{"proxyAddresses"}, false},
		{"desk@example.net", "nora@example.net", nil, []string{"proxyAddresses"}, false},
		{"office@example.net", "nora@example.net", nil, []string{"proxyAddresses"}, false},
		{"odd@example.net", "nora@example.net", nil, []string{"proxyAddresses"}, false},
		{"stranger@example.net", "nora@example.net", nil, []string{"proxyAddresses"}, false},
	} {
		s.Set(t, dnOf("nora"), "userCertificate;binary", issued(c.names))
		r := in(c.domains, c.aliases...).Lookup(t.Context(), addr(t, c.to))
		if (r.Outcome == Usable) != c.want || r.Outcome == Unknown {
			t.Errorf("certificate of %s for %s: %s, %s", c.names, c.to, r.Outcome, r.Reason())
		}
		notes := strings.Join(r.Answers[0].Notes, "; ")
		if c.want && !strings.Contains(notes, `is an alias of "`+c.to+`"`) {
			t.Errorf("certificate of %s for %s: notes %q", c.names, c.to, notes)
		}
	}
}

// TestAliasesAreAskedOfWhatWasRefusedBefore: a certificate that a source without
// aliases has, too, is judged again.
func TestAliasesAreAskedOfWhatWasRefusedBefore(t *testing.T) {
	t.Parallel()
	s := aliasServer(t)
	ca := testCA()
	s.Set(t, dnOf("nora"), "userCertificate;binary", string(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"nora.vik@example.net"}})).Certificate.Raw))
	validator := testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff}))
	d := open(t, Config{Checker: validator, Sources: sources(
		openLDAP(t, LDAPConfig{Name: "first", URLs: []string{s.URL()}}),
		openLDAP(t, LDAPConfig{Name: "second", URLs: []string{s.URL()}, Aliases: []string{"proxyAddresses"}}))})
	if r := d.Lookup(t.Context(), addr(t, "nora@example.net")); r.Outcome != Usable {
		t.Errorf("%s, %s", r.Outcome, r.Reason())
	}
}

// TestAliasesOfEverySchema: the attributes of Active Directory, of the Netscape
// servers and OpenLDAP's inetLocalMailRecipient.
func TestAliasesOfEverySchema(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	for attribute, class := range map[string]string{
		"proxyAddresses": "user", "mailAlternateAddress": "qmailUser", "mailLocalAddress": "inetLocalMailRecipient",
	} {
		classes := []string{"inetOrgPerson", class}
		if class == "user" {
			classes = []string{class}
		}
		of := func(local string) string { return local + "@" + strings.ToLower(attribute) + ".example" }
		s.Add(t, dnOf(class), slapdtest.Attributes{
			"objectClass": classes, "cn": {class}, "sn": {class}, "mail": {of("ida")}, attribute: {of("i.dahl"), of("Post")},
		})
		d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Aliases: []string{attribute}}))})
		if same, err := d.SameOwner(t.Context(), addr(t, of("post")), addr(t, of("ida"))); !same.Same || err != nil {
			t.Errorf("%s: %+v, %v", attribute, same, err)
		}
		list, err := d.Aliases(t.Context(), addr(t, of("i.dahl")))
		if got := joined(list); err != nil || got != of("ida")+" "+of("Post") {
			t.Errorf("%s: %q, %v", attribute, got, err)
		}
	}
	s.Stop(t)
	d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Aliases: []string{"proxyAddresses"}}))})
	if list, err := d.Aliases(t.Context(), addr(t, "ida@example.net")); err == nil {
		t.Errorf("down: %v", list)
	}
}

func joined(list []address.Address) string {
	var all []string
	for _, a := range list {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

// TestAliasesOfTwoDirectories: an address that entries of two directories list is one
// mailbox's where both list all that counts, or bear the same name.
func TestAliasesOfTwoDirectories(t *testing.T) {
	t.Parallel()
	here, there := aliasServer(t), slapdtest.Start(t, slapdtest.Config{})
	for name, proxies := range map[string][]string{
		"copy":  {"smtp:odd@example.net", "smtp:desk@example.net"}, // lists all of odd's
		"thief": {"smtp:n.vik@example.net"},                        // of nora's only this
	} {
		there.Add(t, dnOf(name), slapdtest.Attributes{"objectClass": {"user"}, "cn": {name}, "sn": {name},
			"mail": {name + "@example.net"}, "proxyAddresses": proxies})
	}
	here.Add(t, dnOf("ole"), slapdtest.Attributes{"objectClass": {"user"}, "cn": {"ole"}, "sn": {"ole"},
		"mail": {"ole@example.net"}, "proxyAddresses": {"smtp:o.lie@example.net"}})
	there.Add(t, dnOf("ole"), slapdtest.Attributes{"objectClass": {"user"}, "cn": {"ole"}, "sn": {"ole"}, "mail": {"ole@example.net"}})
	here.Add(t, dnOf("per"), slapdtest.Attributes{"objectClass": {"user"}, "cn": {"per"}, "sn": {"per"},
		"mail": {"per@example.net"}, "proxyAddresses": {"smtp:p.moe@example.net"}})
	there.Add(t, dnOf("pers"), slapdtest.Attributes{"objectClass": {"user"}, "cn": {"pers"}, "sn": {"pers"},
		"mail": {"p.moe@example.net"}, "proxyAddresses": {"smtp:per@example.net"}})
	table := func(name string, s *slapdtest.Server, domains ...string) SourceConfig {
		return SourceConfig{Source: openLDAP(t, LDAPConfig{Name: name, URLs: []string{s.URL()}, Aliases: []string{"proxyAddresses"}}), Domains: domains}
	}
	alone := open(t, Config{Sources: []SourceConfig{table("here", here)}})
	both := open(t, Config{Sources: []SourceConfig{table("here", here), table("there", there)}})
	swapped := open(t, Config{Sources: []SourceConfig{table("there", there), table("here", here)}})
	elsewhere := open(t, Config{Sources: []SourceConfig{table("here", here), table("there", there, "far.example")}})
	for _, c := range []struct {
		d        *Directory
		a, b     string
		same     bool
		conflict string
	}{
		{alone, "nora@example.net", "n.vik@example.net", true, ""},
		{both, "nora@example.net", "n.vik@example.net", false, `"cn=thief,` + slapdtest.People + `" (ldap:there)`},
		{swapped, "n.vik@example.net", "nora@example.net", false, `"cn=thief,` + slapdtest.People + `" (ldap:there)`},
		{elsewhere, "nora@example.net", "n.vik@example.net", true, ""}, // it does not speak for the domain
		{both, "nora@example.net", "nora.vik@example.net", true, ""},   // not on the other entry
		{both, "ole@example.net", "o.lie@example.net", true, ""},       // the same name
		{both, "per@example.net", "p.moe@example.net", true, ""},       // both list both
		{both, "odd@example.net", "nora@example.net", false, ""},
		{both, "odd@example.net", "desk@example.net", false, `"cn=nora,` + slapdtest.People + `" (ldap:here)`},
		{alone, "nora@example.net", "desk@example.net", false, `"cn=odd,` + slapdtest.People + `" (ldap:here)`},
	} {
		got, err := c.d.SameOwner(t.Context(), addr(t, c.a), addr(t, c.b))
		if err != nil || got.Same != c.same || (got.Conflict == "") != (c.conflict == "") || !strings.Contains(got.Conflict, c.conflict) {
			t.Errorf("%s, %s: %+v, %v, want %t %q", c.a, c.b, got, err, c.same, c.conflict)
		}
	}
	ca := testCA()
	here.Set(t, dnOf("nora"), "userCertificate;binary", string(testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"nora@example.net"}})).Certificate.Raw))
	here.Set(t, dnOf("nora"), "proxyAddresses", "smtp:n.vik@example.net")
	validator := testpki.Must(path.NewValidator(path.Config{Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff}))
	r := open(t, Config{Checker: validator, Sources: []SourceConfig{table("here", here), table("there", there)}}).Lookup(t.Context(), addr(t, "n.vik@example.net"))
	if r.Outcome != None || !strings.Contains(strings.Join(r.Answers[0].Notes, "; "), "cn=thief") {
		t.Errorf("certificate of an ambiguous alias: %s, %+v", r.Outcome, r.Answers)
	}
	there.Stop(t)
	if got, err := open(t, Config{Sources: []SourceConfig{table("here", here), table("there", there)}}).SameOwner(t.Context(), addr(t, "ole@example.net"), addr(t, "o.lie@example.net")); err == nil {
		t.Errorf("the other directory is down: %+v", got)
	}
}
