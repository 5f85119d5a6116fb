package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
)

// RFC 3461 section 5.2.2: our greeting offered DSN, the next hop's does not. A report
// that cannot be delivered leaves the results as they are.
func TestReportsOfWhatIsRelayed(t *testing.T) {
	for _, tt := range []struct {
		relays, reportFails bool
		about, delivered    string
	}{
		{true, false, "[b@example.net]", "[b@example.net report@example.org]"},
		{true, true, "[b@example.net]", "[b@example.net]"},
		{false, false, "[]", "[b@example.net]"},
	} {
		about := []string{}
		h := &wiretest.Handler{OnReport: func(_ relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
			if e.Kind != relay.Relayed {
				t.Errorf("kind %v", e.Kind)
			}
			for _, a := range e.About {
				about = append(about, a.Recipient.Address.String())
			}
			return wiretest.Notice(t, "report@example.org"), true, nil
		}}
		sink := &wiretest.Sink{Relays: tt.relays, OnDeliver: func(to string) error {
			if to == "no@example.net" || to == "report@example.org" && tt.reportFails {
				return errors.New("no")
			}
			return nil
		}}
		d := wiretest.Notice(t, "b@example.net")
		d.Recipients = append(d.Recipients, relay.Recipient{Address: wiretest.Address(t, "no@example.net")})
		errs, relayed := Reporting{Deliverer: sink, Reporter: h, Log: slog.New(slog.DiscardHandler)}.Deliver(t.Context(), d)
		if len(errs) != 2 || errs[0] != nil || errs[1] == nil || relayed != nil {
			t.Errorf("%+v: %v, %v", tt, errs, relayed)
		}
		if fmt.Sprint(about) != tt.about || fmt.Sprint(sink.Recipients()) != tt.delivered {
			t.Errorf("%+v: about %v, delivered %v", tt, about, sink.Recipients())
		}
	}
}
