package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/smtp"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// TestRefusedRecipientsAreInTheHistory: who is refused before a message comes, and by no rule,
// leaves an entry, and one client no more than a few.
func TestRefusedRecipientsAreInTheHistory(t *testing.T) {
	closed := "[[listener]]\nname = \"closed\"\nprotocol = \"smtp\"\naddress = \"127.0.0.1:0\"\ndirection = \"outbound\"\nnetworks = [\"192.0.2.0/24\"]\n"
	w := startWorld(t, strings.Replace(storedConfig, "[trust]", closed+"[trust]", 1))
	guess := func(n int) string { return fmt.Sprintf("guess%d@plain.example", n) }
	for n := range clientsRefusals + 1 {
		c, err := smtp.Dial(w.address("closed"))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Mail("alice@example.org"); err != nil {
			t.Fatal(err)
		}
		if err := c.Rcpt(guess(n)); err == nil {
			t.Fatal("accepted")
		}
		w.must(c.Close())
	}
	w.stop()
	for n := range clientsRefusals {
		rows := w.entries(guess(n))
		if len(rows) != 1 {
			t.Fatalf("%d: %d entries", n, len(rows))
		}
		r := rows[0]
		if r.Outcome != history.Refused || r.Decided != history.AtRCPT || r.Listener != "closed" || r.Client != "127.0.0.1" || r.Direction != "outbound" ||
			r.Sender.String() != "alice@example.org" || r.Rule != "" || r.Reason == "" || len(r.Events) != 1 || !strings.HasPrefix(r.Events[0].Reply, "550 5.7.1 ") {
			t.Errorf("%+v", r)
		}
	}
	if rows := w.entries(guess(clientsRefusals)); len(rows) != 0 {
		t.Errorf("entries without bound: %+v", rows)
	}
}

// TestRefusalsAreBounded: a flood of one client, or of many, leaves few entries and takes no
// memory without bound, and is over after a while.
func TestRefusalsAreBounded(t *testing.T) {
	var l refusals
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	admitted := func(clients func(int) netip.Addr) (n int) {
		for i := range 10 * allRefusals {
			if l.admit(clients(i), now) {
				n++
			}
		}
		return n
	}
	one := netip.MustParseAddr("2001:db8::1").As16()
	if n := admitted(func(i int) netip.Addr { a := one; a[14], a[15] = byte(i>>8), byte(i); return netip.AddrFrom16(a) }); n != clientsRefusals {
		t.Errorf("%d of one client", n)
	}
	if !l.admit(netip.MustParseAddr("192.0.2.1"), now) || !l.admit(netip.Addr{}, now) {
		t.Error("another client, and one without an address, leave nothing")
	}
	if n := admitted(func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}) }); n != allRefusals-clientsRefusals-2 || len(l.of) > allRefusals {
		t.Errorf("%d of many clients, %d are known", n, len(l.of))
	}
	for _, later := range []time.Duration{refusalTime, -refusalTime} {
		now = now.Add(later)
		if n := admitted(func(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") }); n != clientsRefusals {
			t.Errorf("%d after %v", n, later)
		}
	}
}

// recording is a recorder whose history has some rows.
func recording(t *testing.T, rows ...history.Row) *recorder {
	t.Helper()
	p := history.Place{Path: filepath.Join(t.TempDir(), "history.db")}
	s, err := history.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), history.Batch{Rows: rows}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRecorder(p, time.Now, history.WriterConfig{
		Limits: func() history.Limits { return history.Limits{} }, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := r.writer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if _, err := r.writer.HidSubject(t.Context(), nil); err != nil { // it is open
		t.Fatal(err)
	}
	return r
}

// TestWhyNamesWhoWasRefusedBefore: a sender who asks about a message reads of the recipients that
// were refused before it came, too, and of no other message's.
func TestWhyNamesWhoWasRefusedBefore(t *testing.T) {
	alice, bob, gone, zoe := parsed(t, "alice@example.org"), parsed(t, "bob@example.net"), parsed(t, "gone@example.net"), parsed(t, "zoe@example.org")
	row := func(id, messageID string, from, to address.Address) history.Row {
		r := history.Row{Time: time.Now(), ID: id, MessageID: messageID, Direction: "outbound", Sender: from, Recipient: to, Outcome: history.Delivered}
		if messageID == "" {
			r.Outcome, r.Decided = history.Refused, history.AtRCPT
			r.Events = []history.Event{{Kind: history.Answered, Reply: "550 5.7.1 no"}}
		}
		return r
	}
	s := &Service{}
	s.recorder.Store(recording(t, row("A", "1@example.org", alice, bob), row("A", "", alice, gone), row("A", "", zoe, zoe), row("B", "", alice, zoe)))
	list, more, err := s.fates(t.Context(), alice, "<1@example.org>")
	if err != nil || more || len(list) != 2 {
		t.Fatalf("%+v, %v, %v", list, more, err)
	}
	if f := list[1]; f.Recipient != gone || f.Outcome != "refused" || f.Reason != "550 5.7.1 no" {
		t.Errorf("%+v", f)
	}
}

// TestMailIsAnsweredBeforeItIsRecorded: that a subject was hidden is known from the decision on,
// while the client is answered, and afterwards.
func TestMailIsAnsweredBeforeItIsRecorded(t *testing.T) {
	r := recording(t)
	alice, bob := parsed(t, "alice@example.org"), parsed(t, "bob@example.org")
	env := &relay.Envelope{ID: "A", MessageID: "<1@example.net>", Recipients: []relay.Recipient{{Address: alice}, {Address: bob}}}
	known := func(when string, want bool) {
		t.Helper()
		if hid, err := r.hidSubject(t.Context(), []string{"<1@example.net>"}); hid != want || err != nil {
			t.Errorf("%s: %v, %v", when, hid, err)
		}
		if hid, err := r.hidSubject(t.Context(), []string{"<2@example.net>"}); hid || err != nil {
			t.Errorf("%s: another: %v, %v", when, hid, err)
		}
	}
	known("before", false)
	d := gateway.Decision{Envelope: env, Direction: enforce.Inbound, Treatment: relay.Treatment{HiddenSubject: true}}
	d.Address = alice
	r.decision(d)
	known("decided", true)
	asked := false
	r.answered(relay.Tally{Envelope: env, Answers: []error{nil, errors.New("no")}}, func(*relay.Envelope, address.Address) enforce.Direction {
		asked = true
		known("being answered", true)
		return enforce.Inbound
	})
	if known("answered", true); !asked || len(r.decided)+len(r.answering) != 0 {
		t.Errorf("%d and %d messages stay", len(r.decided), len(r.answering))
	}
}
