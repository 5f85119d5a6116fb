package certs

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

func TestAddresses(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	for _, c := range []struct {
		name string
		leaf testpki.Leaf
		want []string
	}{
		{"none", testpki.Leaf{Name: "nobody"}, nil},
		{"one", testpki.Leaf{Addresses: []string{"Alice@Example.org"}}, []string{"Alice@Example.org"}},
		{"two and a double", testpki.Leaf{Addresses: []string{"a@x.org", "b@x.org", "a@X.org"}}, []string{"a@x.org", "b@x.org"}},
		{"quoted", testpki.Leaf{Addresses: []string{`"a b"@x.org`}}, []string{`"a b"@x.org`}},
		{"subject only", testpki.Leaf{SubjectEmail: "old@x.org"}, []string{"old@x.org"}},
		{"subject beside an alternative name", testpki.Leaf{Addresses: []string{"new@x.org"}, SubjectEmail: "old@x.org"}, []string{"new@x.org"}},
		{"subject beside a bad alternative name", testpki.Leaf{Addresses: []string{"bad"}, SubjectEmail: "old@x.org"}, nil},
		{"common name is no address", testpki.Leaf{Name: "cn@x.org"}, nil},
		{"utf-8", testpki.Leaf{Addresses: []string{"grå@x.org"}}, []string{"grå@x.org"}},
		{"utf-8 and ascii", testpki.Leaf{Addresses: []string{"a@x.org"}, UTF8Addresses: []string{"ü@xn--mller-kva.example"}},
			[]string{"a@x.org", "ü@xn--mller-kva.example"}},
		{"blank before", testpki.Leaf{Addresses: []string{" a@x.org"}}, nil},
		{"blank after", testpki.Leaf{Addresses: []string{"a@x.org "}}, nil},
		{"blank inside", testpki.Leaf{Addresses: []string{"a b@x.org"}}, nil},
		{"tab", testpki.Leaf{Addresses: []string{"a@x.org\t"}}, nil},
		{"NUL", testpki.Leaf{Addresses: []string{"a@x.org\x00.evil.example"}}, nil},
		{"line end", testpki.Leaf{Addresses: []string{"a@x.org\r\n"}}, nil},
		{"second @", testpki.Leaf{Addresses: []string{"a@x.org@evil.example"}}, nil},
		{"two in one", testpki.Leaf{Addresses: []string{"a@x.org,b@x.org"}}, nil},
		{"angle brackets", testpki.Leaf{Addresses: []string{"<a@x.org>"}}, nil},
		{"empty", testpki.Leaf{Addresses: []string{""}}, nil},
		{"subject with a blank", testpki.Leaf{SubjectEmail: "a@x.org "}, nil},
		{"subject with NUL", testpki.Leaf{SubjectEmail: "a@x.org\x00"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := testpki.Must(ca.Issue(c.leaf))
			var got []string
			for _, a := range Addresses(id.Certificate) {
				got = append(got, a.String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("addresses (-want +got):\n%s", d)
			}
		})
	}
}
