package slapdtest

import (
	"testing"

	"github.com/go-ldap/ldap/v3"
)

func TestServerAnswersAndRestarts(t *testing.T) {
	t.Parallel()
	s := Start(t, Config{})
	dn := s.AddPerson(t, "alice@example.org")
	for range 2 {
		c, err := ldap.DialURL(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Search(ldap.NewSearchRequest(Suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false,
			"(mail=alice@example.org)", nil, nil))
		if err != nil || len(r.Entries) != 1 || r.Entries[0].DN != dn {
			t.Fatalf("got %v, %v", r, err)
		}
		c.Close()
		s.Stop(t)
		s.Restart(t)
	}
}
