package wire

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// silent is a handler whose senders want no reports.
type silent struct{ relay.Handler }

func (silent) Report(relay.Delivery, relay.Event) (relay.Delivery, bool, error) {
	return relay.Delivery{}, false, nil
}

// A message that no recipient gets is refused with what stood in the way, at a
// door with one answer for all: it would vanish behind a 250.
func TestSettleRefusesWhatNobodyGets(t *testing.T) {
	a, b := mustParse(t, "a@e.net"), mustParse(t, "b@e.net")
	to := func(addresses ...address.Address) (rs []relay.Recipient) {
		for _, a := range addresses {
			rs = append(rs, relay.Recipient{Address: a})
		}
		return rs
	}
	refused := func(a address.Address, kind fault.Kind) relay.Refusal {
		return relay.Refusal{Recipient: relay.Recipient{Address: a}, Err: fault.New(kind, "no certificate", nil)}
	}
	for name, tc := range map[string]struct {
		o    relay.Outcome
		code int // 0: accepted
		text string
	}{
		"stripped":           {relay.Outcome{Stripped: []address.Address{a, b}}, 550, "<a@e.net> may not get this message"},
		"refused":            {relay.Outcome{Refused: []relay.Refusal{refused(a, fault.Policy), refused(b, fault.Policy)}}, 550, "no certificate"},
		"one of each":        {relay.Outcome{Refused: []relay.Refusal{refused(a, fault.Policy)}, Stripped: []address.Address{b}}, 550, "<b@e.net>"},
		"one deferred":       {relay.Outcome{Refused: []relay.Refusal{refused(a, fault.Unavailable)}, Deliveries: []relay.Delivery{{Recipients: to(b)}}}, 451, "no certificate"},
		"one gets it":        {relay.Outcome{Refused: []relay.Refusal{refused(a, fault.Policy)}, Deliveries: []relay.Delivery{{Recipients: to(b)}}}, 0, ""},
		"one is held":        {relay.Outcome{Stripped: []address.Address{a}, Held: &relay.Hold{Envelope: relay.Envelope{Recipients: to(b)}}}, 0, ""},
		"one is in no place": {relay.Outcome{Deliveries: []relay.Delivery{{Recipients: to(b)}}}, 451, ""},
	} {
		_, err := Settle(silent{}, &relay.Envelope{Recipients: to(a, b)}, nil, &tc.o)
		if tc.code == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if r := Reply(err); err == nil || r.Code != tc.code || !strings.Contains(r.Text, tc.text) {
			t.Errorf("%s: %v %+v", name, err, r)
		}
	}
}

func mustParse(t *testing.T, s string) address.Address {
	t.Helper()
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
