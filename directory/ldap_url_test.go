package directory

import (
	"net/url"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

func TestServerNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]target{
		"ldap://host":                     {network: "tcp", address: "host:389", host: "host"},
		"ldap://host/":                    {network: "tcp", address: "host:389", host: "host"},
		"LDAPS://host":                    {network: "tcp", address: "host:636", host: "host", tls: true},
		"ldap://host:389":                 {network: "tcp", address: "host:389", host: "host"},
		"ldaps://host:636":                {network: "tcp", address: "host:636", host: "host", tls: true},
		"ldaps://host:3269":               {network: "tcp", address: "host:3269", host: "host", tls: true},
		"host":                            {network: "tcp", address: "host:636", host: "host", tls: true},
		"host:389":                        {network: "tcp", address: "host:389", host: "host"},
		"host:636":                        {network: "tcp", address: "host:636", host: "host", tls: true},
		"ldap://[::1]:1389":               {network: "tcp", address: "[::1]:1389", host: "::1"},
		"ldaps://[::1]":                   {network: "tcp", address: "[::1]:636", host: "::1", tls: true},
		"ldapi://":                        {network: "unix", address: "/var/run/slapd/ldapi", host: "localhost"},
		"ldapi:///run/slapd/s":            {network: "unix", address: "/run/slapd/s", host: "localhost"},
		"ldaps:///dc=x":                   {domain: "x", tls: true, base: "dc=x", scope: ldap.ScopeWholeSubtree},
		"ldap:///ou=p,dc=Corp,dc=example": {domain: "Corp.example", base: "ou=p,dc=Corp,dc=example"},
		"ldapi://%2Frun%2Fs/dc=x":         {network: "unix", address: "/run/s", host: "localhost", base: "dc=x"},
		"ldap://h/o=A%20B,c=DE??one": {
			network: "tcp", address: "h:389", host: "h", base: "o=A B,c=DE", scope: ldap.ScopeSingleLevel,
		},
		"ldap://h/dc=x?userCertificate?base": {
			network: "tcp", address: "h:389", host: "h", base: "dc=x", scope: ldap.ScopeBaseObject,
		},
		"ldap://h/????bindname=cn=a": {network: "tcp", address: "h:389", host: "h"},
	} {
		want.url = text
		if want.base == "" {
			want.base = "dc=default"
		}
		if want.scope == 0 && want.base != "dc=x" || want.address == "/run/s" {
			want.scope = ldap.ScopeWholeSubtree
		}
		got, err := parseServer(text, LDAPConfig{Base: "dc=default"})
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	if got, err := parseServer("host", LDAPConfig{StartTLS: true}); err != nil || got.tls || got.address != "host:389" {
		t.Errorf("bare host with StartTLS: %+v, %v", got, err)
	}
	got, err := parseServer("ldap://h/dc=x???(uid=%7Blocal%7D)", LDAPConfig{})
	if err != nil || got.filter == nil || got.filter.text != "(uid={local})" {
		t.Errorf("filter in the url: %+v, %v", got, err)
	}
}

// TestBases: names that servers take are not refused.
func TestBases(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"": true, "dc=example,dc=com": true, "DC=example, DC=com": true, "o=Müller;c=DE": true, `o=A\, B,c=DE`: true, `o="A, B",c=DE`: true,
		"<GUID=b3d4bfbd-3c45-4ee4-8e27-d1b4c9d2b9c1>": true, "<WKGUID=a9d1ca15768811d1aded00c04fd8d5cd,dc=example,dc=com>": true,
		"example.com": false, "dc=example,com": false, "<example>": false, `"users"`: false,
	} {
		if err := checkBase(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := parseServer("ldap://h/"+url.PathEscape(text), LDAPConfig{}); (err == nil) != good {
			t.Errorf("%s in a URL: %v", text, err)
		}
		if _, err := NewLDAP(LDAPConfig{URLs: []string{"ldap://h"}, Base: text}); (err == nil) != good {
			t.Errorf("%s in the configuration: %v", text, err)
		}
	}
}

func TestBadServerNames(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "ldap://", "ldap:///", "ldap:///o=x", "ldap:///dc=", "ldap:///dc=a%20b", "http://host", "host:3268", "ldap://user@host", "ldap://h/notadn", "ldap://h/dc=x??deep",
		"ldap://h/dc=x???(mail=*)", "ldap://h/????!x-thing", "ldapi://relative", "ldap://h/%zz", "ldap://host:",
		"ldap://host:0", "ldap://host:70000", "ldap://host:ldap", "ldap://a b", "ldap://[fe80::1%25eth0]", "0[",
	} {
		if got, err := parseServer(text, LDAPConfig{}); err == nil {
			t.Errorf("%q: accepted as %+v", text, got)
		}
	}
}

func TestNewLDAPNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := NewLDAP(LDAPConfig{
		Name: "corp", URLs: []string{"http://x", "ldap://"}, BindDN: "cn=x", Filter: "(mail=*)",
		CA: "/nonexistent", ClientCertificate: "/nonexistent",
	})
	const problems = 6
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != problems {
		t.Errorf("want %d problems: %v", problems, err)
	}
}
