package milter

import (
	"strings"
	"sync"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
)

// counter keeps what a listener counts.
type counter struct {
	mu      sync.Mutex
	refused int
	tallies []relay.Tally
}

func (c *counter) Refused(*relay.Envelope, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused++
}

func (c *counter) Answered(t relay.Tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tallies = append(c.tallies, t)
}

// What is counted is what the MTA was answered, not what was decided before it.
func TestCounts(t *testing.T) {
	for to, want := range map[string]struct {
		kind  relay.DispositionKind
		fails bool
	}{
		"x@e.net":          {kind: relay.Edited},
		"n@e.net":          {kind: relay.Queued},
		"r@e.net":          {fails: true},
		"no-room@e.net":    {fails: true},
		"not-an-address@@": {fails: true},
	} {
		c := &counter{}
		full := &wiretest.Sink{OnPut: func(ds []relay.Delivery) error {
			if strings.HasPrefix(ds[0].Recipients[0].Address.String(), "no-room") {
				return fault.New(fault.Capacity, "insufficient system storage", nil)
			}
			return nil
		}}
		w := start(t, Config{Meter: c, Queue: full, Handler: &wiretest.Handler{OnProcess: outcome(t, wiretest.Message(t, "Subject: now\r\n\r\nnow\r\n"))}})
		m := w.dial()
		m.mail("a@example.org")
		if got := m.rcpt(to); got != "c" {
			if c.refused != 1 {
				t.Errorf("%s: refused, and %d counted", to, c.refused)
			}
			continue
		}
		m.message(text)
		if len(c.tallies) != 1 {
			t.Fatalf("%s: %d messages counted", to, len(c.tallies))
		}
		got := c.tallies[0]
		if (got.Err != nil) != want.fails || got.Err == nil && (got.Decided == nil || got.Decided.Recipients[0].Kind != want.kind) || len(got.Envelope.Recipients) != 1 {
			t.Errorf("%s: counted %+v", to, got)
		}
	}
}
