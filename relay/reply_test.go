package relay

import (
	"errors"
	"fmt"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// TestReplyFor has the code of every kind and every detail (RFC 5321 section 4.2.3,
// RFC 3463 section 3).
func TestReplyFor(t *testing.T) {
	kinds := map[fault.Kind]string{
		fault.Internal: "451 4.3.0", fault.Unavailable: "451 4.4.3", fault.Capacity: "452 4.3.1",
		fault.Identity: "451 4.7.0", fault.NextHop: "451 4.4.1", fault.Held: "451 4.7.1",
		fault.Policy: "550 5.7.1", fault.Malformed: "550 5.6.0", fault.TooLarge: "552 5.3.4",
		fault.BadAddress: "553 5.1.3", fault.Refused: "550 5.0.0", fault.Refused + 1: "451 4.3.0",
	}
	for kind := fault.Internal; kind <= fault.Refused+1; kind++ {
		wantReply(t, fault.New(kind, "text", errors.New("private")), kinds[kind]+" text")
	}
	details := map[fault.Detail]string{
		fault.ManyRecipients: "452 4.5.3", fault.UnknownMailbox: "550 5.1.1", fault.Routed: "550 5.1.3",
		fault.Looping: "554 5.4.6", fault.Expired: "554 5.4.7", fault.International: "553 5.6.7",
		fault.NoTLS: "451 4.7.4", fault.BrokenTLS: "451 4.7.5", fault.NoDomain: "550 5.1.2", fault.NullMX: "556 5.1.10", fault.NoHost: "550 5.4.4",
		fault.Conversion: "554 5.6.3", fault.RequireTLS: "550 5.7.30", fault.BareLineEnd: "554 5.5.2", fault.LongLine: "500 5.5.2", fault.UnknownCommand: "500 5.5.2",
		fault.Syntax: "501 5.5.2", fault.Parameter: "501 5.5.4", fault.UnknownParameter: "555 5.5.4",
		fault.Sequence: "503 5.5.1", fault.Unauthorized: "550 5.7.0", fault.BadCredentials: "535 5.7.8",
		fault.NoLogin: "454 4.7.0", fault.NeedsTLS: "538 5.7.11", fault.Mechanism: "504 5.5.4", fault.Misbehaving: "421 4.7.0",
		fault.Interrupted: "421 4.5.0", fault.Closing: "421 4.3.2", fault.Closing + 1: "550 5.7.1",
	}
	for detail := fault.Plain + 1; detail <= fault.Closing+1; detail++ {
		wantReply(t, fault.Narrow(fault.Policy, detail, "text", nil), details[detail]+" text")
	}
	wantReply(t, errors.New("unknown"), "451 4.3.0 internal error, try again later")
	own := fault.Reply{Code: 450, Enhanced: [3]int{4, 2, 0}, Text: "greylisted"}
	wantReply(t, &fault.Error{Kind: fault.NextHop, Public: "text", Reply: own}, "450 4.2.0 greylisted")
}

func wantReply(t *testing.T, err error, want string) {
	t.Helper()
	r := ReplyFor(err)
	if got := fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], r.Text); got != want {
		t.Errorf("%v: %q, want %q", err, got, want)
	}
	if permanent := r.Code/100 == 5; permanent == Temporary(err) {
		t.Errorf("%v: temporary is %t", err, Temporary(err))
	}
}

// TestHelp: who reads a refusal can ask; programs cannot, and what another server said is its
// own. Each detail is here: one that is new has to be thought of.
func TestHelp(t *testing.T) {
	const contact = "https://help.example"
	people := map[fault.Detail]bool{
		fault.Plain: true, fault.UnknownMailbox: true, fault.Routed: true, fault.Looping: true, fault.Expired: true, fault.International: true,
		fault.Conversion: true, fault.RequireTLS: true, fault.NoTLS: true, fault.BrokenTLS: true, fault.NoDomain: true, fault.NullMX: true,
		fault.NoHost: true, fault.BareLineEnd: true, fault.BadCredentials: true, fault.NeedsTLS: true,
	}
	for detail := fault.Plain; detail <= fault.Closing; detail++ {
		got := Help(fmt.Errorf("RCPT: %w", fault.Narrow(fault.Policy, detail, "text", nil)), contact)
		if want := map[bool]string{true: " (help: https://help.example)"}[people[detail]]; got != want {
			t.Errorf("detail %d: %q, want %q", detail, got, want)
		}
	}
	kinds := map[fault.Kind]bool{
		fault.Unavailable: true, fault.Identity: true, fault.Held: true, fault.Policy: true, fault.Malformed: true, fault.TooLarge: true,
		fault.BadAddress: true, fault.Refused: true,
	}
	for kind := fault.Internal; kind <= fault.Refused; kind++ {
		if got := Help(fault.New(kind, "text", nil), contact); (got != "") != kinds[kind] {
			t.Errorf("%s: %q", kind, got)
		}
	}
	theirs := &fault.Error{Kind: fault.Refused, Reply: fault.Reply{Code: 550, Text: "no"}}
	for _, err := range []error{theirs, errors.New("unknown")} {
		if got := Help(err, contact); got != "" {
			t.Errorf("%v: %q", err, got)
		}
	}
	if got := Help(fault.New(fault.Policy, "text", nil), ""); got != "" {
		t.Errorf("without a contact: %q", got)
	}
}
