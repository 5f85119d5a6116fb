package smtpclient

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
)

// A delivery is joined to its message by the id, and to the next hop's log by the
// next hop's answer.
func TestDeliveriesAreLogged(t *testing.T) {
	log := &wiretest.Log{}
	s := &server{t: t, answer: func(_ int, line string) string {
		if line == "." {
			return "250 2.0.0 Ok: queued as 4ABC"
		}
		return ""
	}}
	cl := s.start(setup{Log: log.Logger()})
	d := relay.Delivery{
		Sender: wiretest.Address(t, "a@example.org"), Message: wiretest.Message(t, "Subject: x\r\n\r\nx\r\n"),
		Recipients: []relay.Recipient{{Address: wiretest.Address(t, "b@example.net")}},
		Origin:     relay.Origin{ID: "ID1", QueueID: "4XYZ", MessageID: "<m@example.org>"},
	}
	if errs, _ := cl.Deliver(t.Context(), d); errs[0] != nil {
		t.Fatal(errs)
	}
	for _, want := range []string{"msg=delivered id=ID1 queue_id=4XYZ message_id=<m@example.org> sender=a@example.org next_hop=127.0.0.1:", `recipient=b@example.net reply="250 2.0.0 Ok: queued as 4ABC"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s has no %s", log, want)
		}
	}
}

// TestFailureNamesTheHost: which of several hosts could not be used, and why, is known, also
// where the connection itself does not say it.
func TestFailureNamesTheHost(t *testing.T) {
	s := &server{t: t, answer: func(_ int, line string) string {
		if strings.HasPrefix(line, "EHLO") {
			return "421 4.3.2 busy"
		}
		return ""
	}}
	c := s.start(setup{})
	results, _ := c.Deliver(t.Context(), delivery(t, text, "a@example.org", "b@example.net"))
	if want := "next hop not available: " + c.host.Address + ": EHLO: next hop answered 421 4.3.2 busy"; results[0] == nil || results[0].Error() != want {
		t.Errorf("%v, want %s", results[0], want)
	}
}
