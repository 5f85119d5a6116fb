package store

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

// TestPartners: addresses of others are found in parts and by domain, and own ones are not.
func TestPartners(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, names := range [][]string{{"bob@example.com", "Robert@EXAMPLE.com"}, {"bob@example.com"}, {"carol@sub.example.com"}, {"dave@exa_ple.com"}, {`"a b"@example.net`}} {
			_, err := w.Put(t.Context(), Harvested, New{Certificate: w.identity(1, names...).Certificate})
			w.must(err)
		}
		_, err := w.PutIdentity(t.Context(), Imported, w.identity(1, "alice@example.org"))
		w.must(err)
		_, err = w.Put(t.Context(), Issued, New{Certificate: w.identity(1, "issued@example.org").Certificate})
		w.must(err)
		find := func(q PartnerQuery) string {
			found, err := w.Partners(t.Context(), q)
			w.must(err)
			var texts []string
			for _, a := range found {
				texts = append(texts, a.Key(address.IgnoreCase))
			}
			return strings.Join(texts, " ")
		}
		for _, c := range []struct {
			q    PartnerQuery
			want string
		}{
			{PartnerQuery{Domain: "Example.com", Limit: 10}, "bob@example.com robert@example.com"},
			{PartnerQuery{Domain: "example.com", Limit: 1}, "bob@example.com"},
			{PartnerQuery{Domain: "example.com", After: "bob@example.com", Limit: 1}, "robert@example.com"},
			{PartnerQuery{Domain: "exa_ple.com", Limit: 10}, "dave@exa_ple.com"},
			{PartnerQuery{Domain: "example.net", Limit: 10}, "a b@example.net"},
			{PartnerQuery{Domain: "e%", Limit: 10}, ""},
			{PartnerQuery{After: "carol@sub.example.com", Limit: 10}, "dave@exa_ple.com robert@example.com"},
			{PartnerQuery{Domain: "example.org", Limit: 10}, ""},
		} {
			if got := find(c.q); got != c.want {
				t.Errorf("%+v: %q, want %q", c.q, got, c.want)
			}
		}
	})
}
