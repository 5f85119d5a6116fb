package slapdtest

import (
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Attributes are the values of an entry by attribute description.
type Attributes map[string][]string

// addTop makes the entries that the others hang below.
func (s *Server) addTop(tb testing.TB) {
	tb.Helper()
	s.Add(tb, Suffix, Attributes{"objectClass": {"dcObject", "organization"}, "dc": {"example"}, "o": {"Example"}})
	s.Add(tb, People, Attributes{"objectClass": {"organizationalUnit"}, "ou": {"people"}})
}

// Add makes an entry.
func (s *Server) Add(tb testing.TB, dn string, attributes Attributes) {
	tb.Helper()
	request := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		request.Attribute(name, values)
	}
	s.admin(tb, func(c *ldap.Conn) error { return c.Add(request) })
}

// AddPerson makes an inetOrgPerson in People whose mail is address and whose
// userCertificate;binary holds certificates, and returns its DN.
func (s *Server) AddPerson(tb testing.TB, address string, certificates ...*x509.Certificate) string {
	tb.Helper()
	attributes := Attributes{
		"objectClass": {"inetOrgPerson"},
		"cn":          {address},
		"sn":          {address},
		"mail":        {address},
	}
	for _, c := range certificates {
		attributes["userCertificate;binary"] = append(attributes["userCertificate;binary"], string(c.Raw))
	}
	dn := "cn=" + ldap.EscapeDN(address) + "," + People
	s.Add(tb, dn, attributes)
	return dn
}

// Set replaces the values of one attribute of an entry; none delete it.
func (s *Server) Set(tb testing.TB, dn, attribute string, values ...string) {
	tb.Helper()
	request := ldap.NewModifyRequest(dn, nil)
	request.Replace(attribute, values)
	s.admin(tb, func(c *ldap.Conn) error { return c.Modify(request) })
}

// Delete removes an entry.
func (s *Server) Delete(tb testing.TB, dn string) {
	tb.Helper()
	s.admin(tb, func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(dn, nil)) })
}

// admin runs one operation as the administrator.
func (s *Server) admin(tb testing.TB, operation func(*ldap.Conn) error) {
	tb.Helper()
	c, err := s.dialAdmin()
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	if err := operation(c); err != nil {
		tb.Fatal(err)
	}
}

// Fill makes n persons user0@example.net, user1@example.net and so on, all with
// the same certificate.
func (s *Server) Fill(tb testing.TB, n int, certificate *x509.Certificate) {
	tb.Helper()
	s.admin(tb, func(c *ldap.Conn) error {
		for i := range n {
			name := fmt.Sprintf("user%d", i)
			request := ldap.NewAddRequest("cn="+name+","+People, nil)
			request.Attribute("objectClass", []string{"inetOrgPerson"})
			request.Attribute("cn", []string{name})
			request.Attribute("sn", []string{name})
			request.Attribute("mail", []string{name + "@example.net"})
			request.Attribute("userCertificate;binary", []string{string(certificate.Raw)})
			if err := c.Add(request); err != nil {
				return err
			}
		}
		return nil
	})
}
