package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/history"
)

// story tells what became of a message: what came, what was decided for each recipient,
// and what happened afterwards.
func (p *page) story(rows []history.Row) {
	first := rows[0]
	p.line("%s: message %s from <%s>", first.Time.Format(time.RFC3339), first.ID, first.Sender)
	p.line("  It came by the listener %q%s.", first.Listener, cameFrom(first))
	if first.Size > 0 {
		p.line("  Its size is %d octets.", first.Size)
	}
	if first.QueueID != "" {
		p.line("  The MTA in front calls it %s.", first.QueueID)
	}
	if first.MessageID != "" {
		p.line("  Its Message-ID is <%s>.", first.MessageID)
	}
	for _, s := range first.Stages {
		p.line("  %s took %s.", capital(s.Name), s.Took.Round(time.Microsecond))
	}
	for _, r := range rows {
		p.became(r)
	}
}

// cameFrom says who handed the message in.
func cameFrom(r history.Row) string {
	text := ""
	if r.Client != "" {
		text = " from " + r.Client
		if r.Helo != "" {
			text += " (" + r.Helo + ")"
		}
	}
	if r.User != "" {
		text += ", logged in as " + r.User
	}
	if r.TLS {
		text += ", with TLS"
	}
	return text
}

// became tells what became of it for one recipient.
func (p *page) became(r history.Row) {
	p.line("  For <%s>, %s:", r.Recipient, r.Direction)
	switch {
	case r.Rule != "" && r.Line > 0:
		p.line("    The rule %q in line %d decided.", r.Rule, r.Line)
	case r.Rule != "":
		p.line("    The rule %q decided.", r.Rule)
	}
	if len(r.Steps) > 0 {
		p.line("    The plan: %s.", strings.Join(r.Steps, ", then "))
	}
	if r.Result != "" {
		p.line("    Verification found: %s.", r.Result)
	}
	if r.Cipher != "" {
		p.line("    The content cipher is %s.", r.Cipher)
	}
	for _, c := range r.Certificates {
		p.line("    Certificate: sha256 %s", c)
	}
	if r.Reason != "" {
		p.line("    Remark: %s.", strings.TrimSuffix(r.Reason, "."))
	}
	for i, e := range r.Events {
		if i == history.FirstEvents && r.EventsOmitted > 0 {
			p.line("    (%d events are not kept.)", r.EventsOmitted)
		}
		p.line("    %s: %s", e.Time.Format(time.RFC3339), happened(e))
	}
	p.line("    %s", outcomes[r.Outcome])
}

// happened tells of an event.
func happened(e history.Event) string {
	text := ""
	switch e.Kind {
	case history.Answered:
		text = "The client was answered"
	case history.Attempt:
		text = "Attempt " + fmt.Sprint(e.Attempt)
		if e.Host != "" {
			text += " at " + e.Host
		}
	case history.Released:
		text = "Released"
	case history.Ended:
		text = "Ended"
	}
	if e.By != "" {
		text += " by " + e.By
	}
	if e.Reply != "" {
		text += ": " + e.Reply
	}
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	return text + "."
}

// outcomes are the sentences for what has become of a message.
var outcomes = map[history.Outcome]string{
	history.Queued:      "It is in the queue.",
	history.Held:        "It is held until a certificate is found.",
	history.Deferred:    "It was not accepted: the client was asked to try again later.",
	history.Quarantined: "It is in quarantine.",
	history.Delivered:   "The next hop took it.",
	history.Edited:      "The MTA has it, in the form that was decided, and delivers it.",
	history.Refused:     "It was refused.",
	history.Stripped:    "The recipient was removed, and the sender notified.",
	history.Returned:    "It was for the gateway itself.",
	history.Failed:      "It could not be delivered.",
	history.Removed:     "It was removed.",
}

// capital writes the first letter large.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
