package gateway

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/relay/returnpath"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// returns reports whether an address is one of those that stand for the sender of a
// message that was encrypted.
func (g *Gateway) returns(a address.Address) bool {
	return g.ReturnPath != nil && g.ReturnPath.Claims(a)
}

// admitReturned refuses an address that the gateway did not make, or not lately.
func (g *Gateway) admitReturned(a address.Address) (returnpath.Stands, error) {
	stands, err := g.ReturnPath.Read(a, g.Clock())
	if err != nil {
		return stands, noReturn(err.Error())
	}
	return stands, nil
}

// reportsOnly is the answer to a letter to an address of the gateway's own.
const reportsOnly = "this address accepts delivery reports only"

func noReturn(text string) error {
	return fault.Narrow(fault.Policy, fault.UnknownMailbox, text, nil)
}

// split tells the recipients that are addresses of the gateway's own from the rest of an
// envelope, which is the envelope itself where none are.
func split(env *relay.Envelope, ours func(address.Address) bool) (own []relay.Recipient, rest *relay.Envelope) {
	if !slices.ContainsFunc(env.Recipients, func(r relay.Recipient) bool { return ours(r.Address) }) {
		return nil, env
	}
	rest = without(env)
	for _, r := range env.Recipients {
		if ours(r.Address) {
			own = append(own, r)
			continue
		}
		rest.Recipients = append(rest.Recipients, r)
		rest.Others--
	}
	return own, rest
}

// processReturned handles what comes back: on questions, and, by whatever listener, on mail that
// was encrypted. Its sender hears that the message was not delivered, and no more: what
// came back may quote what was decrypted, and that there is a reply at all may
// depend on it. Reports of anything but failure, and automatic replies, go no
// further.
func (g *Gateway) processReturned(ctx context.Context, env *relay.Envelope, msg *message.Message, returned []relay.Recipient, rest *relay.Envelope) (*answer.Outcome, error) {
	o := &answer.Outcome{}
	if len(rest.Recipients) > 0 {
		o = part(rest)(g.processRecipients(ctx, rest, msg))
	}
	for _, r := range returned {
		if err := g.takeBack(ctx, env, msg, r.Address, o); err != nil {
			f := fault.Of(err)
			g.logReturned(env, r.Address, "refused", f.Error())
			o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: r, Err: fault.Logged(f)})
		} else {
			o.Returned = append(o.Returned, r.Address)
		}
	}
	return o, nil
}

// takeBack adds to o the notice to the sender that an address stands for. Its error
// is the answer.
func (g *Gateway) takeBack(ctx context.Context, env *relay.Envelope, msg *message.Message, a address.Address, o *answer.Outcome) error {
	if number, ok := g.bounced(env, a); ok {
		return g.takeBackQuestion(env, msg, a, number, o)
	}
	stands, err := g.admitReturned(a)
	if err != nil {
		return err
	}
	failed, why := g.failures(env, msg)
	if why != "" {
		if !env.Sender.IsNull() && !automatic(msg) && !dsn.IsReport(msg) {
			return noReturn(reportsOnly)
		}
		g.logReturned(env, a, "discarded", why)
		return nil
	}
	secret, err := g.findSecret(dsn.Returned(msg, secretField), stands)
	if err != nil {
		return err
	}
	if secret == nil {
		secret = &relay.Secret{Sender: stands.Sender}
	}
	if secret.Sender.IsNull() {
		g.logReturned(env, a, "discarded", "the report does not contain the header of the message, and the address alone does not identify its sender")
		return nil
	}
	d := relay.Delivery{Secret: secret, Listener: env.Listener}
	report, ok, err := g.Report(ctx, d, relay.Event{Kind: relay.Failed, About: g.aboutReturned(secret, failed), Arrived: secret.Arrived})
	switch {
	case err != nil:
		return err
	case !ok:
		g.logReturned(env, a, "discarded", "no failure report was requested, or the report is about other recipients")
		return nil
	}
	o.Notices = append(o.Notices, report)
	g.logReturned(env, a, "reported", "the sender is notified that the message was not delivered")
	return nil
}

// failures returns the recipients that a report says were given up; why says that
// there are none.
func (g *Gateway) failures(env *relay.Envelope, msg *message.Message) (failed []dsn.Status, why string) {
	if dsn.IsReport(msg) {
		if failed = dsn.Failures(msg); len(failed) == 0 {
			return nil, "not a failure report"
		}
		return failed, ""
	}
	// Some servers write reports of a form of their own (before RFC 3464).
	if env.Sender.IsNull() && !automatic(msg) && fromDaemon(msg) {
		return []dsn.Status{{}}, ""
	}
	return nil, "not a report"
}

// automatic reports whether a message says that a program wrote it (RFC 3834 section
// 5).
func automatic(msg *message.Message) bool {
	value, _, _ := strings.Cut(msg.Get("Auto-Submitted"), ";")
	value = strings.TrimSpace(value)
	return value != "" && !strings.EqualFold(value, "no") || msg.Has("X-Autoreply") || msg.Has("X-Autorespond") ||
		strings.EqualFold(strings.TrimSpace(msg.Get("Precedence")), "auto_reply")
}

// fromDaemon reports whether the author is a mail system.
func fromDaemon(msg *message.Message) bool {
	authors, err := msg.Addresses("From")
	return err == nil && len(authors) == 1 &&
		(strings.EqualFold(authors[0].Local(), "mailer-daemon") || strings.EqualFold(authors[0].Local(), "postmaster"))
}

// aboutReturned are those of a report, as the sender named them. Where it is
// unknown who is meant, as behind an alias, a message to one recipient is meant as a
// whole; otherwise only recipients of our own domains are named: a redirection by a
// user may depend on what was decrypted, and must not be disclosed.
func (g *Gateway) aboutReturned(o *relay.Secret, failed []dsn.Status) []relay.RecipientStatus {
	var about []relay.RecipientStatus
	seen := make(map[string]bool)
	for _, f := range failed {
		r := relay.Recipient{Address: f.Final}
		switch i, j := find(o, f.Original), find(o, f.Final); {
		case i >= 0:
			r = o.To[i]
		case j >= 0:
			r = o.To[j]
		case len(o.To) == 1:
			r = o.To[0]
		case g.own(f.Original):
			r.Address = f.Original
		case !g.own(f.Final):
			continue
		}
		if k := r.Address.Key(address.IgnoreCase); !seen[k] {
			seen[k] = true
			about = append(about, relay.RecipientStatus{Recipient: r})
		}
	}
	return about
}

func (g *Gateway) logReturned(env *relay.Envelope, a address.Address, outcome, reason string) {
	g.Log.Info("returned mail",
		slog.String("id", env.ID), slog.String("queue_id", env.QueueID), slog.String("sender", env.Sender.String()),
		slog.String("recipient", a.String()), slog.String("outcome", outcome), slog.String("reason", reason))
}
