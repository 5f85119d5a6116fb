package directory

import (
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

func TestFilterTemplates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		defaultFilter:                   "(|(mail=bob@example.net)(proxyAddresses=smtp:bob@example.net))",
		"(&(uid={local})(dc={domain}))": "(&(uid=bob)(dc=example.net))",
		"(cn:caseExactMatch:={addr})":   "(cn:caseExactMatch:=bob@example.net)",
		"(mail=*{addr}*)":               "(mail=*bob@example.net*)",
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.expand(addr(t, bob)); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, text := range []string{"", "{addr}", "(mail=x)", "({addr}=x)", "(mail={addr}", "({local}={addr})", "(mail={addr})(x=y)", "(mail=\xc7{addr})"} {
		if _, err := parseFilter(text); err == nil {
			t.Errorf("%q: accepted", text)
		}
	}
}

func TestFilterHasBothFormsOfADomain(t *testing.T) {
	t.Parallel()
	f, err := parseFilter("(mail={addr})")
	if err != nil {
		t.Fatal(err)
	}
	const want = `(|(mail=x@xn--mller-kva.example)(mail=x@m\c3\bcller.example))`
	for _, a := range []string{"x@müller.example", "x@xn--mller-kva.example"} {
		if got := f.expand(addr(t, a)); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
}

func TestFilterEscapes(t *testing.T) {
	t.Parallel()
	f, err := parseFilter("(|(mail={addr})(uid={local}))")
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]string{
		"*@x.example":              `(|(mail=\2a@x.example)(uid=\2a))`,
		`"a)(uid=*"@x.example`:     `(|(mail="a\29\28uid=\2a"@x.example)(uid=a\29\28uid=\2a))`,
		`"a\\b"@x.example`:         `(|(mail="a\5c\5cb"@x.example)(uid=a\5cb))`,
		"{domain}{addr}@x.example": `(|(mail={domain}{addr}@x.example)(uid={domain}{addr}))`,
	} {
		parsed, err := address.Parse(a)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.expand(parsed); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
}
