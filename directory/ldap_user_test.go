package directory

import (
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
)

func TestAddressesOfAUser(t *testing.T) {
	t.Parallel()
	s := groupServer(t)
	s.Set(t, dnOf("anna"), "sAMAccountName", "anna")
	s.Set(t, dnOf("anna"), "proxyAddresses", "SMTP:anna@example.net", "smtp:press@example.net", "X500:/o=Example/cn=anna", "sip:anna@sip.example")
	s.Set(t, dnOf("anna"), "seeAlso", dnOf("bert"), "cn=gone,"+slapdtest.People)
	s.Set(t, dnOf("bert"), "sAMAccountName", "bert*")
	s.Set(t, dnOf("shared"), "sAMAccountName", "shared") // disabled
	s.Set(t, dnOf("computer"), "sAMAccountName", "ute")  // as the uid of another
	d := func(attributes ...string) *Directory {
		return open(t, Config{Sources: sources(&fakeSource{name: "other"}, openLDAP(t, LDAPConfig{
			URLs: []string{s.URL()}, UserFilter: "(|(uid={user})(sAMAccountName={user}))", UserAttributes: attributes,
		}))})
	}
	for _, c := range []struct {
		user       string
		attributes []string
		want       string
	}{
		{"anna", nil, "anna@example.net press@example.net"},
		{"ANNA", []string{"mail"}, "anna@example.net"},
		{"anna", []string{"mail", "seeAlso"}, "anna@example.net b@example.net bert@example.net"},
		{"bert*", nil, "b@example.net bert@example.net"},
		{"shared", nil, ""},
		{"nobody", nil, ""},
		{"", nil, ""},
		{"*", nil, ""},
		{"a*", nil, ""},
		{"anna)(uid=*", nil, ""},
		{"x)(|(uid=*", nil, ""},
		{"anna\x00", nil, ""},
		{`\2a`, nil, ""},
		{"ute", nil, "error"}, // two entries have this name
	} {
		list, err := d(c.attributes...).AddressesOf(t.Context(), c.user)
		var texts []string
		for _, a := range list {
			texts = append(texts, a.String())
		}
		slices.Sort(texts)
		got := strings.Join(slices.Compact(texts), " ")
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%q by %q: %s (%v), want %s", c.user, c.attributes, got, err, c.want)
		}
	}
	s.Stop(t)
	if list, err := d().AddressesOf(t.Context(), "anna"); err == nil {
		t.Errorf("down: %v", list)
	}
}

func TestUsersNeedAFilter(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{"ldap://127.0.0.1:1"}}))})
	if _, err := d.AddressesOf(t.Context(), "anna"); err == nil || !strings.Contains(err.Error(), "user_filter") {
		t.Error(err)
	}
	for _, text := range []string{"(uid=anna)", "(uid={user}", "({user}=x)", `(uid=\{user})`} {
		if _, err := NewLDAP(LDAPConfig{URLs: []string{"ldap://x"}, UserFilter: text}); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}
