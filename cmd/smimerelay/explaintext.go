package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// printExplanation writes an explanation for people: what happens first, then
// why.
func printExplanation(w io.Writer, x *gateway.Explanation, file string) error {
	p := &page{w: w}
	sender := x.Sender
	if sender == "" || sender == "<>" {
		sender = "<> (the null sender)"
	}
	p.line("%s message from %s", x.Direction, sender)
	if x.Refused != "" {
		p.line("  rejected for all outbound recipients: %s", x.Refused)
	}
	if x.Identity != "" {
		p.line("  signing identity: %s", x.Identity)
	}
	for _, note := range x.IdentityNotes {
		p.line("    note: %s", note)
	}
	p.lineIf(x.Signed, "  already signed")
	p.lineIf(x.Encrypted, "  already encrypted")
	p.lineIf(x.Automatic, "  automatic report or reply: passed unchanged")
	p.memberships("  the sender ", x.SenderGroups)
	for _, g := range x.Expanded {
		p.group(g)
	}
	for _, r := range x.Recipients {
		p.recipient(r, file)
	}
	for _, i := range x.Inbound {
		p.line("")
		p.line("inbound for %s: signatures are verified, and mail is decrypted if there is a key", strings.Join(i.Recipients, ", "))
		for _, o := range i.Outcomes {
			p.inboundOutcome(o, file)
		}
		for _, r := range i.Rules {
			asks := ", no minimum requirements"
			if r.Minimum != "" {
				asks = ", minimum requirements: " + r.Minimum
			}
			p.line("  rule %q%s: profile %q%s", r.Rule, place(file, r.Line), r.Profile, asks)
		}
		for _, note := range i.Notes {
			p.line("  note: %s", note)
		}
		printReport(p, i.Report)
	}
	return p.err
}

// inboundOutcome writes what becomes of an inbound message for a recipient.
func (p *page) inboundOutcome(o gateway.InboundOutcome, file string) {
	if o.Rule == "" && o.Outcome == "delivered" {
		return // as all mail is without inbound rules
	}
	p.line("  %s: %s%s", o.Recipient, o.Outcome, because(o.Reason))
	p.line("    inbound rule %q%s: deliver %s", o.Rule, place(file, o.Line), o.Deliver)
	p.lineIf(o.Note != "", "    "+o.Note)
	p.lineIf(o.Report != "", "    would be "+o.Report)
	p.lineIf(o.Reply != "", "    reply "+o.Reply)
}

func (p *page) recipient(r gateway.ExplainedRecipient, file string) {
	p.line("")
	p.line("%s: %s%s", r.Address, r.Outcome, because(r.Reason))
	if r.Rule != "" {
		p.line("  rule       %q%s", r.Rule, place(file, r.Line))
	}
	if len(r.Through) > 0 {
		p.line("  member     of %s", strings.Join(r.Through, ", "))
	}
	p.memberships("  group      ", r.Memberships)
	if r.Partner != nil {
		p.line("  partner    %s%s%s", r.Partner.Domain, place(file, r.Partner.Line), because(r.Partner.Contact))
	}
	if r.Reply != "" {
		p.line("  reply      %s", r.Reply)
	}
	if r.Copy > 0 {
		hidden := ""
		if r.Hidden {
			hidden = ", for a hidden recipient (Bcc)"
		}
		p.line("  copy       %d%s", r.Copy, hidden)
	}
	if r.Profile != "" {
		p.line("  profile    %s", r.Profile)
	}
	if r.Cipher != "" {
		p.line("  cipher     %s%s", r.Cipher, because(r.CipherWhy))
	}
	if r.SubjectHidden != "" {
		p.line("  subject    hidden%s", because(r.SubjectHidden))
	}
	p.lookup(r)
}

// lookup tells who was asked and what they had.
func (p *page) lookup(r gateway.ExplainedRecipient) {
	for _, s := range r.Sources {
		p.line("  asked      %s", sourceText(s))
		for _, note := range s.Notes {
			p.line("             note: %s", note)
		}
	}
	for _, c := range r.Candidates {
		p.candidate(c)
	}
}

func place(file string, line int) string {
	if line == 0 {
		return " (built in)"
	}
	return fmt.Sprintf(" (%s:%d)", file, line)
}

func sourceText(s gateway.ExplainedSource) string {
	how := fmt.Sprintf("in %.1f ms", s.Milliseconds)
	if s.Cached {
		how = "from the cache"
	}
	if s.Error != "" {
		return fmt.Sprintf("%s: failed %s: %s", s.Source, how, s.Error)
	}
	return fmt.Sprintf("%s: %d found %s", s.Source, s.Found, how)
}

func (p *page) candidate(c gateway.ExplainedCandidate) {
	verdict := "usable"
	switch {
	case c.Used:
		verdict = "used"
	case c.Result != certs.Pass:
		verdict = strings.TrimSuffix(fmt.Sprintf("not usable: %s: %s", c.Reason, c.Detail), ": ")
	}
	p.line("  candidate  %s", verdict)
	p.line("             sha256 %s from %s", c.SHA256, c.Source)
	p.line("             %s, issued by %s, serial %s", c.Subject, c.Issuer, c.Serial)
	p.line("             valid %s to %s", c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
	if len(c.Chain) > 0 {
		p.line("             %s by %s", c.Trust, strings.Join(c.Chain, ", "))
	}
	p.lineIf(c.Revocation != "", "             revocation "+c.Revocation)
	if len(c.Ciphers) > 0 {
		p.line("             reads %s", listed(c.Ciphers))
	}
}

func listed(ciphers []cms.Cipher) string {
	var names []string
	for _, c := range ciphers {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}
