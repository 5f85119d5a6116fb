package service

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestRowsOfAMessageStayTogether: messages are decided on at the same time, recipient by
// recipient, and the clock goes on meanwhile. Who reads the decisions again has each message
// with all its recipients.
func TestRowsOfAMessageStayTogether(t *testing.T) {
	place := history.Place{Path: filepath.Join(t.TempDir(), "history.db")}
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	now := start
	r := newRecorder(place, func() time.Time { now = now.Add(time.Second); return now }, history.WriterConfig{
		Limits: func() history.Limits { return history.Limits{} }, Clock: time.Now, Dropped: func(int) {},
	})
	const messages, recipients = 3, 4
	envelopes := make([]*relay.Envelope, messages)
	for i := range envelopes {
		envelopes[i] = &relay.Envelope{ID: fmt.Sprintf("message-%d", i), Sender: mustAddress(t, "a@example.org")}
	}
	for n := range recipients {
		for _, env := range envelopes {
			to := mustAddress(t, fmt.Sprintf("b%d@example.net", n))
			env.Recipients = append(env.Recipients, relay.Recipient{Address: to})
			r.decision(gateway.Decision{
				Envelope: env, Direction: enforce.Outbound, Assigned: enforce.Assigned{Address: to}, Decided: "passed",
				Facts: &enforce.Facts{Recipients: []enforce.RecipientFacts{{Address: to}}},
			})
		}
	}
	direction := func(*relay.Envelope, address.Address) enforce.Direction { return enforce.Outbound }
	for i, env := range envelopes {
		if i > 0 { // the client of the first goes away without an answer
			r.answered(relay.Tally{Envelope: env}, direction)
		}
	}
	r.flush()
	if err := r.writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := history.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found := map[string]int{}
	if err := s.Decisions(t.Context(), start, now.Add(time.Hour), func(rows []history.Row) error {
		found[rows[0].ID]++
		if len(rows) != recipients {
			t.Errorf("%s: %d recipients together", rows[0].ID, len(rows))
		}
		return nil
	}); err != nil || len(found) != messages {
		t.Errorf("%v, %v", found, err)
	}
}
