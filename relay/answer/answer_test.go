package answer

import (
	"context"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// A message that no recipient gets is refused with what stood in the way, at a
// listener with one answer for all: it would vanish behind a 250.
func TestOneAnswerRefusesWhatNobodyGets(t *testing.T) {
	a, b := recipient(t, "a@e.net").Address, recipient(t, "b@e.net").Address
	to := func(addresses ...address.Address) (rs []relay.Recipient) {
		for _, a := range addresses {
			rs = append(rs, relay.Recipient{Address: a})
		}
		return rs
	}
	refused := func(a address.Address, kind fault.Kind) relay.RecipientStatus {
		return relay.RecipientStatus{Recipient: relay.Recipient{Address: a}, Err: fault.New(kind, "no certificate", nil)}
	}
	for name, tc := range map[string]struct {
		o    Outcome
		code int // 0: accepted
		text string
	}{
		"stripped":           {Outcome{Stripped: []address.Address{a, b}}, 550, "<a@e.net>"},
		"refused":            {Outcome{Refused: []relay.RecipientStatus{refused(a, fault.Policy), refused(b, fault.Policy)}}, 550, "no certificate"},
		"one of each":        {Outcome{Refused: []relay.RecipientStatus{refused(a, fault.Policy)}, Stripped: []address.Address{b}}, 550, "<b@e.net>"},
		"one deferred":       {Outcome{Refused: []relay.RecipientStatus{refused(a, fault.Unavailable)}, Deliveries: []relay.Delivery{{Recipients: to(b)}}}, 451, "no certificate"},
		"one gets it":        {Outcome{Refused: []relay.RecipientStatus{refused(a, fault.Policy)}, Deliveries: []relay.Delivery{{Recipients: to(b)}}}, 0, ""},
		"one is held":        {Outcome{Stripped: []address.Address{a}, Held: &relay.Hold{Envelope: relay.Envelope{Recipients: to(b)}}}, 0, ""},
		"one is in no place": {Outcome{Deliveries: []relay.Delivery{{Recipients: to(b)}}}, 451, ""},
	} {
		_, err := Of(context.Background(), &tc.o, &relay.Envelope{Recipients: to(a, b)}, nil, relay.Capabilities{}, reporter{silent: true})
		if tc.code == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if r := relay.ReplyFor(err); err == nil || r.Code != tc.code || !strings.Contains(r.Text, tc.text) {
			t.Errorf("%s: %v %+v", name, err, r)
		}
	}
}

// One copy becomes the MTA's own message where the listener can edit it, and nothing
// else has to be stored with it.
func TestEdit(t *testing.T) {
	a, b := recipient(t, "a@e.net"), recipient(t, "b@e.net")
	whole := Outcome{Deliveries: []relay.Delivery{{Recipients: []relay.Recipient{a, b}}}}
	for name, tc := range map[string]struct {
		o    Outcome
		can  bool
		edit bool
	}{
		"one copy":        {whole, true, true},
		"cannot":          {whole, false, false},
		"two copies":      {Outcome{Deliveries: []relay.Delivery{{Recipients: []relay.Recipient{a}}, {Recipients: []relay.Recipient{b}}}}, true, false},
		"one is held":     {Outcome{Deliveries: []relay.Delivery{{Recipients: []relay.Recipient{a}}}, Held: waiting(b)}, true, false},
		"by the next hop": {Outcome{Deliveries: whole.Deliveries, ByNextHop: true}, true, false},
	} {
		env := &relay.Envelope{ID: "x", Recipients: []relay.Recipient{a, b}}
		got, err := Of(context.Background(), &tc.o, env, nil, relay.Capabilities{Edit: func(relay.Delivery) bool { return tc.can }}, reporter{})
		if err != nil || (got.Edit != nil) != tc.edit || (len(got.Store.Copies) == 0) != tc.edit {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		for _, d := range got.Copies() {
			if d.Origin.ID != "x" {
				t.Errorf("%s: a copy of %+v", name, d.Origin)
			}
		}
	}
}

// A copy for the house is stored before any other leaves, by each listener.
func TestKeptIsStoredFirst(t *testing.T) {
	a, archive := recipient(t, "a@e.net"), recipient(t, "archive@e.net")
	for _, can := range []relay.Capabilities{{}, {EachRecipient: true}, {Edit: func(relay.Delivery) bool { return true }}} {
		o := &Outcome{Deliveries: []relay.Delivery{{Recipients: []relay.Recipient{a}}}, Kept: []relay.Delivery{{Recipients: []relay.Recipient{archive}}}}
		got, err := Of(context.Background(), o, &relay.Envelope{ID: "x", Recipients: []relay.Recipient{a}}, nil, can, reporter{silent: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Store.Notices) != 1 || len(got.Notices) != 0 || got.Store.Notices[0].Origin.ID != "x" || can.EachRecipient && (!got.StoreFirst || len(got.Deliver) != 1) {
			t.Errorf("%+v: %+v", can, got)
		}
	}
}
