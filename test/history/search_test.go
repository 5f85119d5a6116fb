package history

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestRoundTrip: what is written comes back.
func TestRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		want := row(t, 7)
		want.Decided, want.Helo, want.User, want.TLS, want.Reason, want.Cause = "signed", "client.example.org", "alice", true, "a remark", "certificate"
		want.Result, want.Encryption, want.Certificates = "pass", "decrypted", []string{"ab12"}
		want.Cipher, want.HiddenSubject, want.ProtectedID = "aes-256-gcm", true, "inside@example.org"
		want.Stages = []history.Stage{{Name: "lookup", Took: 3 * time.Millisecond}}
		want.Events = []history.Event{{Time: begin, Kind: history.Attempt, Attempt: 1, Host: "mx.example.net", Reply: "250 ok", Reason: "r", By: "root"}}
		want.EventsOmitted = 3
		write(t, s, history.Batch{Rows: []history.Row{want}})
		got, err := s.Message(context.Background(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		want.MessageID = "m7@example.org"
		if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestHostileText: what strangers wrote is stored whatever it is made of.
func TestHostileText(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		r := row(t, 1)
		r.QueueID, r.MessageID, r.Helo, r.Reason = "a\x00b", "<x\xff@y>", "h\x00\xfe", "\xc3("
		r.Events = []history.Event{{Kind: history.Attempt, Reply: "550 \x00\xff"}}
		r.Sender = address.Null
		write(t, s, history.Batch{Rows: []history.Row{r}})
		if got := search(t, s, history.Query{Text: "a\x00b"}); len(got.Rows) != 1 || !got.Rows[0].Sender.IsNull() {
			t.Errorf("got %+v", got)
		}
	})
}

// TestSearch: each thing by which a message is searched finds it, and no other.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		write(t, s, history.Batch{Rows: rows(t, 0, 300)})
		for _, c := range []struct {
			name  string
			query history.Query
			want  []int
		}{
			{"id", history.Query{Text: "id0000017"}, []int{17}},
			{"queue id", history.Query{Text: "Q0000018"}, []int{18}},
			{"message id", history.Query{Text: "m19@example.org"}, []int{19}},
			{"message id in brackets", history.Query{Text: "<m19@example.org>"}, []int{19}},
			{"sender", history.Query{Text: "Sender20@EXAMPLE.org"}, []int{20}},
			{"recipient", history.Query{Text: "recipient21@example.net"}, []int{21}},
			{"address", history.Query{Address: addr(t, "recipient21@example.net")}, []int{21}},
			{"address and id", history.Query{Text: "id0000021", Address: addr(t, "recipient21@example.net")}, []int{21}},
			{"another address and id", history.Query{Text: "id0000021", Address: addr(t, "recipient22@example.net")}, nil},
			{"nothing", history.Query{Text: "id00000170"}, nil},
			{"no wildcard", history.Query{Text: "id000001%"}, nil},
			{"empty ids are none", history.Query{Text: "<@>"}, nil},
			{"outcome", history.Query{Outcome: history.Refused}, []int{200, 100, 0}},
			{"outcome and address", history.Query{Outcome: history.Refused, Address: addr(t, "sender100@example.org")}, []int{100}},
			{"time", history.Query{Since: begin.Add(5 * time.Second), Until: begin.Add(8 * time.Second)}, []int{7, 6, 5}},
			{"listener", history.Query{Listener: "inbound"}, nil},
			{"direction", history.Query{Direction: "inbound"}, nil},
			{"rule", history.Query{Rule: "other"}, nil},
			{"id and rule", history.Query{Text: "id0000017", Rule: "partners"}, []int{17}},
			{"id and another rule", history.Query{Text: "id0000017", Rule: "other"}, nil},
			{"address and listener", history.Query{Text: "recipient21@example.net", Listener: "outbound"}, []int{21}},
			{"address and another listener", history.Query{Text: "recipient21@example.net", Listener: "inbound"}, nil},
			{"all", history.Query{Listener: "outbound", Direction: "outbound", Rule: "partners", Limit: 2}, []int{299, 298}},
		} {
			got := search(t, s, c.query)
			var ids []string
			for _, r := range got.Rows {
				ids = append(ids, r.ID)
			}
			var want []string
			for _, n := range c.want {
				want = append(want, row(t, n).ID)
			}
			if !reflect.DeepEqual(ids, want) {
				t.Errorf("%s: got %v, want %v", c.name, ids, want)
			}
		}
	})
}

// TestHidSubject: what a message hid is known by its Message-ID, and by nothing else of it.
func TestHidSubject(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		hidden, shown := row(t, 1), row(t, 2)
		hidden.HiddenSubject, hidden.QueueID, hidden.ProtectedID = true, "q@example.org", "<inside@example.org>"
		write(t, s, history.Batch{Rows: []history.Row{hidden, shown}})
		for ids, want := range map[string]bool{
			"<m1@example.org>": true, "<inside@example.org>": true, "<m2@example.org> <m1@example.org>": true, "<m2@example.org>": false, "<m3@example.org>": false, "": false,
			hidden.ID: false, hidden.QueueID: false, hidden.Sender.String(): false,
		} {
			if got, err := s.HidSubject(context.Background(), strings.Fields(ids)); err != nil || got != want {
				t.Errorf("%s: %v, %v", ids, got, err)
			}
		}
	})
}

// TestHidSubjectIsNotPushedOut: however many rows have the same Message-ID, or have it as an
// address or an identifier, the one that hid its subject is found, and a text that a client
// sent is not taken for it.
func TestHidSubjectIsNotPushedOut(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		hidden := row(t, 0)
		hidden.HiddenSubject = true
		shown := row(t, 1)
		shown.Helo = `"hidden_subject":true`
		all := []history.Row{hidden, shown}
		for n := range 1100 {
			r := row(t, n+2)
			r.MessageID = hidden.MessageID
			if n%2 == 0 {
				r.Sender, r.QueueID = addr(t, "m0@example.org"), "m0@example.org"
			}
			all = append(all, r)
		}
		write(t, s, history.Batch{Rows: all})
		for id, want := range map[string]bool{hidden.MessageID: true, shown.MessageID: false} {
			if got, err := s.HidSubject(context.Background(), []string{id}); err != nil || got != want {
				t.Errorf("%s: %v, %v", id, got, err)
			}
		}
	})
}

// TestPages: the pages have each row once, newest first, also where many have one time
// and a row is found by two of its columns.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		all := rows(t, 0, 105)
		for i := range all {
			all[i].Time = begin.Add(time.Duration(i/40) * time.Hour)
			all[i].Sender, all[i].Recipient = addr(t, "a@example.org"), addr(t, "a@example.org")
		}
		write(t, s, history.Batch{Rows: all})
		for _, q := range []history.Query{{Limit: 10}, {Text: "a@example.org", Limit: 10}, {Outcome: history.Delivered, Limit: 10}} {
			seen := map[string]bool{}
			before, pages := begin.AddDate(1, 0, 0), 0
			for {
				page := search(t, s, q)
				pages++
				for _, r := range page.Rows {
					if seen[r.ID] || r.Time.After(before) {
						t.Errorf("%+v: %s again or out of order", q, r.ID)
					}
					seen[r.ID], before = true, r.Time
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
			want := 105
			if q.Outcome != "" {
				want -= 2
			}
			if len(seen) != want || pages != 11 {
				t.Errorf("%+v: %d rows on %d pages", q, len(seen), pages)
			}
		}
		for _, cursor := range []string{"x", "1", "1.x", "1.2.3", "'.1"} {
			if _, err := s.Search(context.Background(), history.Query{Cursor: cursor}); !errors.Is(err, history.ErrCursor) {
				t.Errorf("cursor %q: %v", cursor, err)
			}
		}
	})
}

// TestChanges: what happens to a message later is in its row, whether that is stored
// already or in the same batch, and for the recipient that it is about.
func TestChanges(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		r, other := row(t, 1), row(t, 1)
		other.Recipient = addr(t, "other@example.net")
		r.Outcome, other.Outcome = history.Queued, history.Queued
		attempt := func(to address.Address, n int, o history.Outcome) history.Change {
			return history.Change{ID: r.ID, Recipient: to, Outcome: o, Event: history.Event{Kind: history.Attempt, Attempt: n}}
		}
		if left := write(t, s, history.Batch{Changes: []history.Change{attempt(r.Recipient, 1, "")}}); len(left) != 1 {
			t.Errorf("%d changes without a row", len(left))
		}
		write(t, s, history.Batch{Rows: []history.Row{r, other}, Changes: []history.Change{attempt(r.Recipient, 1, "")}})
		if left := write(t, s, history.Batch{Changes: []history.Change{attempt(r.Recipient, 2, history.Delivered)}}); len(left) != 0 {
			t.Errorf("no row for %+v", left)
		}
		got := search(t, s, history.Query{Text: r.Recipient.String()}).Rows
		if len(got) != 1 || got[0].Outcome != history.Delivered || len(got[0].Events) != 2 || got[0].Events[1].Attempt != 2 {
			t.Errorf("got %+v", got)
		}
		if got := search(t, s, history.Query{Text: "other@example.net"}).Rows; got[0].Outcome != history.Queued || len(got[0].Events) != 0 {
			t.Errorf("the other recipient: %+v", got)
		}
		totals, err := s.Totals(context.Background(), begin, begin)
		if err != nil {
			t.Fatal(err)
		}
		if got := totals.Sum(history.CountOutcome); !reflect.DeepEqual(got, map[string]int64{"queued": 1, "delivered": 1}) {
			t.Errorf("totals: %v", got)
		}
		var many []history.Change
		for n := range 100 {
			many = append(many, attempt(r.Recipient, n+3, ""))
		}
		write(t, s, history.Batch{Changes: many})
		got = search(t, s, history.Query{Text: r.Recipient.String()}).Rows
		if e := got[0].Events; len(e) != 30 || e[0].Attempt != 1 || e[29].Attempt != 102 || got[0].EventsOmitted != 72 {
			t.Errorf("%d events, %d left out", len(got[0].Events), got[0].EventsOmitted)
		}
	})
}

// TestTotals: the counters say what the rows do.
func TestTotals(t *testing.T) {
	each(t, func(t *testing.T, s *history.Store) {
		write(t, s, history.Batch{Rows: rows(t, 0, 2000)})
		totals, err := s.Totals(context.Background(), begin, begin.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if len(totals.Hours) != 2 || !totals.Hours[0].Start.Equal(begin.Truncate(time.Hour)) {
			t.Errorf("hours: %+v", totals.Hours)
		}
		for kind, want := range map[history.CountKind]map[string]int64{
			history.CountOutcome:    {"delivered": 1980, "refused": 20},
			history.CountCause:      {"certificate": 20},
			history.CountProtection: {"signed, encrypted": 1980},
			history.CountRule:       {"partners": 2000},
			history.CountResult:     {},
		} {
			if got := totals.Sum(kind); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", kind, got, want)
			}
		}
	})
}
