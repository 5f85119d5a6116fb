package milter

import (
	"slices"
	"testing"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// The recipients that the MTA keeps are those of the copy, each of them and no
// other: what it does not know by the spelling it used it would not delete.
func TestDropped(t *testing.T) {
	parse := func(s string) address.Address {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	tx := &transaction{}
	for _, text := range []string{"a@e.net", "B@e.net", `"b"@e.net`, "c@e.net"} {
		tx.given = append(tx.given, given{text: text, key: relay.Key(parse(text))})
	}
	for name, tc := range map[string]struct {
		stay, drop []string
		bad        bool
	}{
		"all":                        {stay: []string{"a@e.net", "B@e.net", "b@e.net", "c@e.net"}},
		"one":                        {stay: []string{"a@e.net"}, drop: []string{"B@e.net", `"b"@e.net`, "c@e.net"}},
		"one in quotes":              {stay: []string{"b@e.net", "c@e.net"}, drop: []string{"a@e.net", "B@e.net"}},
		"one is not known":           {stay: []string{"a@e.net", "x@e.net"}, bad: true},
		"none is known":              {stay: []string{"x@e.net"}, bad: true},
		"a copy without a recipient": {bad: true},
	} {
		var d relay.Delivery
		for _, text := range tc.stay {
			d.Recipients = append(d.Recipients, relay.Recipient{Address: parse(text)})
		}
		drop, err := tx.dropped(d)
		if (err != nil) != tc.bad || !tc.bad && !slices.Equal(drop, tc.drop) {
			t.Errorf("%s: dropped %q (%v)", name, drop, err)
		}
	}
}
