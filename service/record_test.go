package service

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// entries are the rows of the history for a recipient, newest first; the service has ended.
func (w *world) entries(recipient string) []history.Row {
	w.t.Helper()
	s, err := history.Open(context.Background(), history.Place{Path: filepath.Join(w.dir, "history.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	page, err := s.Search(context.Background(), history.Query{Text: recipient})
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Rows
}

// TestHistoryRecordsWhatBecameOfMail: each protocol leaves a row for each recipient, with
// what was decided, and with what the next hop said, in the end.
func TestHistoryRecordsWhatBecameOfMail(t *testing.T) {
	listener := func(name, protocol string) string {
		return "[[listener]]\nname = \"" + name + "\"\nprotocol = \"" + protocol + "\"\naddress = \"127.0.0.1:0\"\ndirection = \"outbound\"\n"
	}
	w := startWorld(t, strings.Replace(storedConfig, "[trust]", listener("filter", "lmtp")+listener("mta", "milter")+"[trust]", 1))
	w.hop.refuses = "gone@plain.example"
	const atRCPT, gone, later, fine = "missing@enc.example", "gone@plain.example", "carl@signed.example", "dave@plain.example"
	cases := []struct {
		by      func(to ...string) error
		via, to string
		outcome history.Outcome
		cause   string
		events  []history.EventKind
	}{
		{w.bySMTP, "out", atRCPT, history.Refused, "certificate", nil},
		{w.bySMTP, "out", later, history.Deferred, "identity", []history.EventKind{history.Answered}},
		{w.bySMTP, "out", fine, history.Delivered, "", []history.EventKind{history.Attempt}},
		{w.bySMTP, "out", gone, history.Failed, "refused", []history.EventKind{history.Attempt}},
		{w.byLMTP, "filter", fine, history.Delivered, "", []history.EventKind{history.Attempt}},
		{w.byLMTP, "filter", gone, history.Refused, "refused", []history.EventKind{history.Attempt, history.Answered}},
		{w.byMilter, "mta", fine, history.Edited, "", nil},
	}
	for _, c := range cases {
		c.by(c.to) //nolint:errcheck // the outcome shows it
	}
	w.log.waitCount(t, "msg=attempt ", 2) // of the queue
	w.stop()
	for _, c := range cases {
		rows := slices.DeleteFunc(w.entries(c.to), func(r history.Row) bool { return r.Listener != c.via })
		if len(rows) != 1 {
			t.Errorf("%s by %s: %d rows", c.to, c.via, len(rows))
			continue
		}
		r := rows[0]
		if r.Outcome != c.outcome || r.Cause != c.cause {
			t.Errorf("%s: outcome %q, cause %q, want %q, %q", c.to, r.Outcome, r.Cause, c.outcome, c.cause)
		}
		var kinds []history.EventKind
		for _, e := range r.Events {
			kinds = append(kinds, e.Kind)
			if e.Kind == history.Attempt && (e.Attempt != 1 || e.Reply == "" || e.Host == "") {
				t.Errorf("%s: attempt %+v", c.to, e)
			}
		}
		if strings.Join(words(kinds), " ") != strings.Join(words(c.events), " ") {
			t.Errorf("%s: events %v, want %v", c.to, r.Events, c.events)
		}
		if r.ID == "" || r.Direction != "outbound" || r.Sender.String() != "alice@example.org" || r.Client != "127.0.0.1" && r.Listener != "mta" {
			t.Errorf("%s: %+v", c.to, r)
		}
		if c.to != atRCPT && (r.Size == 0 || len(r.Stages) == 0 || r.Rule == "" || r.Line == 0) {
			t.Errorf("%s: %+v", c.to, r)
		}
	}
}

// TestHistoryCountsNoAttemptThatWasNotMade: a client that its route has no turn for is
// answered, and nothing was tried. The replies of next hops are kept as they were given.
func TestHistoryCountsNoAttemptThatWasNotMade(t *testing.T) {
	w := startWorld(t, strings.Replace(storedConfig, "[trust]", `[[listener]]
name = "filter"
protocol = "lmtp"
address = "127.0.0.1:0"
direction = "outbound"
[[route]]
name = "slow"
recipient = ["plain.example"]
to = ["%HOP%"]
tls = "off"
rate = 1
[trust]`, 1))
	const first, second = "first@plain.example", "second@plain.example"
	if err := w.byLMTP(first); err != nil {
		t.Fatal(err)
	}
	w.advance(-2 * time.Minute) // the next turn is later than a client waits
	if err := w.byLMTP(second); err == nil {
		t.Fatal("the second has a turn")
	}
	w.stop()
	for to, want := range map[string]string{first: "attempt 250 2.0.0 OK: queued", second: "answered 451 4.4.1 too many messages for this destination, try again later"} {
		for _, r := range w.entries(to) {
			got := ""
			for _, e := range r.Events {
				got += string(e.Kind) + " " + e.Reply
			}
			if got != want {
				t.Errorf("%s: %q, want %q", to, got, want)
			}
		}
	}
	if n := w.log.count("msg=delivered"); n != 1 {
		t.Errorf("%d deliveries in the log", n)
	}
	w.log.wait(t, `reply="250 2.0.0 OK: queued"`)
}

func words(kinds []history.EventKind) (all []string) {
	for _, k := range kinds {
		all = append(all, string(k))
	}
	return all
}

// TestHistoryDelaysNoMail: without a place that can be written, mail goes on, and the log
// says once that there is no history.
func TestHistoryDelaysNoMail(t *testing.T) {
	w := startWorld(t, inbound)
	w.stop()
	w.spoilHistory()
	w.run()
	w.log.waitCount(t, "msg=serving", 2)
	if err := send(w.address("in"), "without a history"); err != nil {
		t.Error(err)
	}
	w.hop.wait(t, 1)
	w.log.waitCount(t, "the history cannot be written", 1)
	w.stop()
	if n := w.log.count("the history cannot be written"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// TestHistoryCanBeTurnedOff: with keep = "0s" there is no file, and by a reload it comes
// and goes.
func TestHistoryCanBeTurnedOff(t *testing.T) {
	off := inbound + "[history]\nkeep = \"0s\"\n"
	w := startWorld(t, off)
	if err := send(w.address("in"), "off"); err != nil {
		t.Fatal(err)
	}
	w.hop.wait(t, 1)
	w.reload(inbound, "msg=reloaded")
	if err := send(w.address("in"), "on"); err != nil {
		t.Fatal(err)
	}
	w.hop.wait(t, 2)
	w.reload(off, "msg=reloaded")
	if err := send(w.address("in"), "off again"); err != nil {
		t.Fatal(err)
	}
	w.hop.wait(t, 3)
	w.stop()
	if rows := w.entries("alice@example.org"); len(rows) != 1 || rows[0].Direction != "inbound" || rows[0].Result != "none" {
		t.Errorf("got %+v", rows)
	}
}

// spoilHistory puts something else in the place of the history's file.
func (w *world) spoilHistory() {
	w.t.Helper()
	path := filepath.Join(w.dir, "history.db")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.RemoveAll(path + suffix); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}
