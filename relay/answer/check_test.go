package answer

import (
	"errors"
	"testing"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

func recipient(t *testing.T, s string) relay.Recipient {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return relay.Recipient{Address: a}
}

func waiting(rs ...relay.Recipient) *relay.Hold {
	return &relay.Hold{Envelope: relay.Envelope{Recipients: rs}}
}

func TestCheck(t *testing.T) {
	a, b, c := recipient(t, "a@x.org"), recipient(t, "b@x.org"), recipient(t, "c@x.org")
	to := func(rs ...relay.Recipient) relay.Delivery { return relay.Delivery{Recipients: rs} }
	refused := []relay.RecipientStatus{{Recipient: b, Err: errors.New("no")}}
	env := &relay.Envelope{Recipients: []relay.Recipient{a, b}}
	for _, tc := range []struct {
		name string
		o    *Outcome
		ok   bool
	}{
		{"nothing", nil, false},
		{"no recipient", &Outcome{}, false},
		{"both", &Outcome{Deliveries: []relay.Delivery{to(a, b)}}, true},
		{"apart", &Outcome{Deliveries: []relay.Delivery{to(b), to(a)}}, true},
		{"one refused", &Outcome{Deliveries: []relay.Delivery{to(a)}, Refused: refused}, true},
		{"one stripped", &Outcome{Deliveries: []relay.Delivery{to(b)}, Stripped: []address.Address{a.Address}}, true},
		{"one held", &Outcome{Deliveries: []relay.Delivery{to(b)}, Held: waiting(a)}, true},
		{"all held", &Outcome{Held: waiting(a, b)}, true},
		{"held and delivered", &Outcome{Deliveries: []relay.Delivery{to(a, b)}, Held: waiting(a)}, false},
		{"held and stripped", &Outcome{Deliveries: []relay.Delivery{to(b)}, Held: waiting(a), Stripped: []address.Address{a.Address}}, false},
		{"held and forgotten", &Outcome{Held: waiting(a)}, false},
		{"one forgotten", &Outcome{Deliveries: []relay.Delivery{to(a)}}, false},
		{"one twice", &Outcome{Deliveries: []relay.Delivery{to(a, b), to(a)}}, false},
		{"delivered and refused", &Outcome{Deliveries: []relay.Delivery{to(a, b)}, Refused: refused}, false},
		{"invented", &Outcome{Deliveries: []relay.Delivery{to(a, b, c)}}, false},
		{"noticed only", &Outcome{Deliveries: []relay.Delivery{to(a)}, Notices: []relay.Delivery{to(b)}}, false},
	} {
		if err := check(env, tc.o); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if err := check(&relay.Envelope{}, &Outcome{}); err == nil {
		t.Error("a message without a recipient has an outcome")
	}
}
