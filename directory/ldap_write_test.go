package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
)

const (
	writerDN       = "cn=smimerelay," + slapdtest.Suffix
	writerPassword = "secret-writer"
)

// writerRights let the account of a test change certificates, and read.
const writerRights = `access to attrs=userPassword by anonymous auth by * none
access to attrs=userCertificate,userSMIMECertificate by dn.exact="` + writerDN + `" write by * read
access to * by * read`

// startAD runs a server as Active Directory has it, with an account that may write certificates.
func startAD(t *testing.T, cfg slapdtest.Config) *slapdtest.Server {
	t.Helper()
	cfg.Extra = writerRights
	s := slapdtest.Start(t, cfg)
	s.Add(t, writerDN, slapdtest.Attributes{"objectClass": {"organizationalRole", "simpleSecurityObject"}, "cn": {"smimerelay"}, "userPassword": {writerPassword}})
	return s
}

// addUser makes a user of Active Directory.
func addUser(t *testing.T, s *slapdtest.Server, name string, more slapdtest.Attributes) string {
	t.Helper()
	dn := "cn=" + name + "," + slapdtest.People
	attributes := slapdtest.Attributes{"objectClass": {"user"}, "cn": {name}, "sn": {name}, "mail": {name + "@example.org"}}
	for k, v := range more {
		attributes[k] = v
	}
	s.Add(t, dn, attributes)
	return dn
}

func writer(t *testing.T, s *slapdtest.Server) *LDAP {
	t.Helper()
	return openLDAP(t, LDAPConfig{URLs: []string{s.SocketURL()}, BindDN: writerDN, PasswordFile: writeFile(t, "password", []byte(writerPassword+"\n")), Confidential: true})
}

// held returns the values of an attribute of an entry.
func held(t *testing.T, l *LDAP, dn, attribute string) []string {
	t.Helper()
	e, _, err := l.entry(t.Context(), dn, attribute)
	if err != nil || e == nil {
		t.Fatalf("%s: %v, %v", dn, e, err)
	}
	list := texts(e, attribute)
	slices.Sort(list)
	return list
}

// TestChangeValues: single values are added and removed, whether they were there or not; those
// of others stay.
func TestChangeValues(t *testing.T) {
	t.Parallel()
	s := startAD(t, slapdtest.Config{ActiveDirectory: true})
	dn := addUser(t, s, "alice", slapdtest.Attributes{"userCertificate": {"manual"}})
	l := writer(t, s)
	for i, step := range []struct {
		add, remove []string
		want        string
	}{
		{[]string{"a", "b"}, nil, "[a b manual]"},
		{[]string{"a", "c"}, []string{"b", "never there"}, "[a c manual]"},
		{[]string{"a", "c"}, nil, "[a c manual]"},
		{[]string{"a"}, []string{"a", "c"}, "[a manual]"},
		{nil, []string{"a"}, "[manual]"},
	} {
		for _, attribute := range []string{"userCertificate", "userSMIMECertificate"} {
			found, err := l.ChangeValues(t.Context(), dn, ValueChange{attribute, raw(step.remove), raw(step.add)})
			want := step.want
			if attribute == "userSMIMECertificate" {
				want = strings.Replace(strings.Replace(want, " manual", "", 1), "manual", "", 1)
			}
			if got := fmt.Sprint(held(t, l, dn, attribute)); err != nil || !found || got != want {
				t.Errorf("step %d, %s: %s, %t, %v", i, attribute, got, found, err)
			}
		}
	}
	if found, err := l.ChangeValues(t.Context(), "cn=absent,"+slapdtest.People, ValueChange{Attribute: "userCertificate", Add: raw([]string{"a"})}); found || err != nil {
		t.Errorf("an entry that is gone: %t, %v", found, err)
	}
}

func raw(list []string) (values [][]byte) {
	for _, v := range list {
		values = append(values, []byte(v))
	}
	return values
}

// TestChangeValuesOfOpenLDAP: certificates have their transfer option there.
func TestChangeValuesOfOpenLDAP(t *testing.T) {
	t.Parallel()
	s := startAD(t, slapdtest.Config{})
	c := issue(t, bob, 0)
	dn := s.AddPerson(t, bob)
	l := writer(t, s)
	if found, err := l.ChangeValues(t.Context(), dn, ValueChange{Attribute: "userCertificate", Add: [][]byte{c.Raw}}); err != nil || !found {
		t.Errorf("%t, %v", found, err)
	}
	want(t, l, bob, c)
	_, err := l.ChangeValues(t.Context(), dn, ValueChange{Attribute: "userSMIMECertificate", Add: [][]byte{c.Raw}})
	if err == nil || !strings.Contains(err.Error(), "leave it out of attributes") {
		t.Errorf("%v", err)
	}
}

// TestWritesNeedRights: what the account may not write is an error with a remedy.
func TestWritesNeedRights(t *testing.T) {
	t.Parallel()
	s := startAD(t, slapdtest.Config{ActiveDirectory: true})
	dn := addUser(t, s, "alice", slapdtest.Attributes{"allowedAttributesEffective": {"userCertificate", "description"}})
	l := writer(t, s)
	_, err := l.ChangeValues(t.Context(), dn, ValueChange{Attribute: "proxyAddresses", Add: raw([]string{"smtp:x@example.org"})})
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultInsufficientAccessRights) || !strings.Contains(err.Error(), "let the account write") {
		t.Errorf("%v", err)
	}
	if list, err := l.Writable(t.Context(), dn); err != nil || !slices.Equal(list, []string{"userCertificate", "description"}) {
		t.Errorf("%v, %v", list, err)
	}
}

// TestEntriesOf: an address has the entries of its owners, by any attribute of the filter.
func TestEntriesOf(t *testing.T) {
	t.Parallel()
	s := startAD(t, slapdtest.Config{ActiveDirectory: true})
	dn := addUser(t, s, "alice", slapdtest.Attributes{"proxyAddresses": {"SMTP:alice@example.org", "smtp:a.smith@example.org"}})
	two := addUser(t, s, "two", slapdtest.Attributes{"mail": {"two@example.org"}})
	s.Add(t, "cn=contact,"+slapdtest.People, slapdtest.Attributes{"objectClass": {"contact"}, "cn": {"contact"}, "sn": {"contact"}, "mail": {"two@example.org"}})
	s.Add(t, "cn=group,"+slapdtest.People, slapdtest.Attributes{"objectClass": {"group"}, "cn": {"group"}, "mail": {"group@example.org"}})
	l := writer(t, s)
	for a, want := range map[string][]string{
		"alice@example.org": {dn}, "A.Smith@example.org": {dn}, "two@example.org": {two}, "group@example.org": nil, "absent@example.org": nil,
	} {
		if list, err := l.EntriesOf(t.Context(), addr(t, a)); err != nil || !slices.Equal(list, want) {
			t.Errorf("%s: %v, %v", a, list, err)
		}
	}
	s.Stop(t)
	if _, err := l.EntriesOf(context.Background(), addr(t, "alice@example.org")); err == nil {
		t.Error("a server that is away has no entries")
	}
}

// TestWritesNeedTLS: a password is sent to no server in the clear.
func TestWritesNeedTLS(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"ldap://dc.example.org": false, "dc.example.org:389": false, "ldaps://dc.example.org": true, "dc.example.org": true,
		"ldapi:///run/ldapi": true, "ldap:///dc=example,dc=org": false,
	} {
		l, err := NewLDAP(LDAPConfig{URLs: []string{url}, Confidential: true})
		if (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
		if err == nil {
			l.Close()
		}
		if l, err = NewLDAP(LDAPConfig{URLs: []string{url}, Confidential: true, StartTLS: true}); err != nil {
			t.Errorf("%s with StartTLS: %v", url, err)
		} else {
			l.Close()
		}
	}
}
