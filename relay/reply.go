package relay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
)

// status is an SMTP reply code with its enhanced status code (RFC 3463).
type status struct {
	code     int
	enhanced [3]int
}

var internal = status{451, [3]int{4, 3, 0}}

var byKind = map[fault.Kind]status{
	fault.Internal:    internal,
	fault.Unavailable: {451, [3]int{4, 4, 3}},
	fault.Capacity:    {452, [3]int{4, 3, 1}},
	fault.Identity:    {451, [3]int{4, 7, 0}},
	fault.NextHop:     {451, [3]int{4, 4, 1}},
	fault.Held:        {451, [3]int{4, 7, 1}},
	fault.Policy:      {550, [3]int{5, 7, 1}},
	fault.Malformed:   {550, [3]int{5, 6, 0}},
	fault.TooLarge:    {552, [3]int{5, 3, 4}},
	fault.BadAddress:  {553, [3]int{5, 1, 3}},
	fault.Refused:     {550, [3]int{5, 0, 0}},
}

var byDetail = map[fault.Detail]status{
	fault.ManyRecipients:   {452, [3]int{4, 5, 3}},
	fault.UnknownMailbox:   {550, [3]int{5, 1, 1}},
	fault.Routed:           {550, [3]int{5, 1, 3}},
	fault.Looping:          {554, [3]int{5, 4, 6}},
	fault.Expired:          {554, [3]int{5, 4, 7}},
	fault.International:    {553, [3]int{5, 6, 7}},
	fault.Conversion:       {554, [3]int{5, 6, 3}},
	fault.RequireTLS:       {550, [3]int{5, 7, 30}},
	fault.NoTLS:            {451, [3]int{4, 7, 4}},
	fault.BrokenTLS:        {451, [3]int{4, 7, 5}},
	fault.NoDomain:         {550, [3]int{5, 1, 2}},
	fault.NullMX:           {556, [3]int{5, 1, 10}},
	fault.NoHost:           {550, [3]int{5, 4, 4}},
	fault.BareLineEnd:      {554, [3]int{5, 5, 2}},
	fault.LongLine:         {500, [3]int{5, 5, 2}},
	fault.UnknownCommand:   {500, [3]int{5, 5, 2}},
	fault.Syntax:           {501, [3]int{5, 5, 2}},
	fault.Parameter:        {501, [3]int{5, 5, 4}},
	fault.UnknownParameter: {555, [3]int{5, 5, 4}},
	fault.Sequence:         {503, [3]int{5, 5, 1}},
	fault.Unauthorized:     {550, [3]int{5, 7, 0}},
	fault.BadCredentials:   {535, [3]int{5, 7, 8}},
	fault.NoLogin:          {454, [3]int{4, 7, 0}},
	fault.NeedsTLS:         {538, [3]int{5, 7, 11}},
	fault.Mechanism:        {504, [3]int{5, 5, 4}},
	fault.Misbehaving:      {421, [3]int{4, 7, 0}},
	fault.Interrupted:      {421, [3]int{4, 5, 0}},
	fault.Closing:          {421, [3]int{4, 3, 2}},
}

// ReplyFor returns the SMTP reply for an error (RFC 5321 section 4.2, RFC 3463): the
// next hop's own if there is one. This file is the only place that makes SMTP codes;
// what it does not know is temporary.
func ReplyFor(err error) fault.Reply {
	e := fault.Of(err)
	if e.Reply.Code != 0 {
		return e.Reply
	}
	s, ok := byDetail[e.Detail]
	if !ok {
		s, ok = byKind[e.Kind]
	}
	if !ok {
		s = internal
	}
	return fault.Reply{Code: s.code, Enhanced: s.enhanced, Text: e.Public}
}

// ReplyOn is ReplyFor as a server passes it on to its own client: a next hop that says 421
// closes its session, and by the same code that of the client would end (RFC 5321 section
// 3.8), with answers that are still to come.
func ReplyOn(err error) fault.Reply {
	r := ReplyFor(err)
	if r.Code == 421 && fault.Of(err).Reply.Code != 0 {
		r.Code = 451
	}
	return r
}

// toPrograms are refusals of how a client speaks: its user does not read them, and has nothing
// to ask.
var toPrograms = []fault.Detail{
	fault.ManyRecipients, fault.LongLine, fault.UnknownCommand, fault.Syntax, fault.Parameter, fault.UnknownParameter, fault.Sequence,
	fault.Unauthorized, fault.NoLogin, fault.Mechanism, fault.Misbehaving, fault.Interrupted, fault.Closing,
}

// Help is what stands behind the reply to err: whom to ask about a refusal that a person
// reads, the client's user or in the end the sender. It is "" without a contact, for what
// another server said, and for what passes without anyone's help.
func Help(err error, contact string) string {
	e := fault.Of(err)
	if contact == "" || e.Reply.Code != 0 || slices.Contains(toPrograms, e.Detail) {
		return ""
	}
	switch e.Kind {
	case fault.Internal, fault.Capacity, fault.NextHop:
		return ""
	}
	return " (help: " + contact + ")"
}

// The replies to a command that succeeded (RFC 2034 section 4).

// Accepted says that a message or one of its recipients was accepted.
func Accepted(text string) fault.Reply {
	return fault.Reply{Code: 250, Enhanced: [3]int{2, 0, 0}, Text: text}
}

// SenderAccepted answers MAIL FROM.
func SenderAccepted() fault.Reply {
	return fault.Reply{Code: 250, Enhanced: [3]int{2, 1, 0}, Text: "Ok"}
}

// RecipientAccepted answers RCPT TO.
func RecipientAccepted() fault.Reply {
	return fault.Reply{Code: 250, Enhanced: [3]int{2, 1, 5}, Text: "Ok"}
}

// Greeting is the line by which a session begins (RFC 5321 section 3.1).
func Greeting(hostname string) string { return "220 " + hostname + " ESMTP" }

// LoggedIn answers AUTH that succeeded (RFC 4954 section 4).
func LoggedIn() fault.Reply {
	return fault.Reply{Code: 235, Enhanced: [3]int{2, 7, 0}, Text: "Authentication successful"}
}

// Challenge is the line of a server in AUTH, with a text in base64 (RFC 4954 section 4).
func Challenge(text string) string { return "334 " + text }

// Temporary reports whether a peer that gets the reply for err tries again. A next hop
// that answers nonsense has not refused the message.
func Temporary(err error) bool { return ReplyFor(err).Code/100 != 5 }

// RoutedRefusal is the refusal of a recipient whose address says by which way to
// go: an MTA behind would read another recipient out of it than the rules see.
func RoutedRefusal(path, why string) error {
	text := fmt.Sprintf("<%s>: %s: addresses with a route are refused here", strings.Trim(path, "<> \t"), why)
	return fault.Narrow(fault.BadAddress, fault.Routed, text, nil)
}
