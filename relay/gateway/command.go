package gateway

import (
	"context"
	"log/slog"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Commands says how mail commands are answered: what members of the local domains ask the
// gateway by mail to an address of its own.
type Commands struct {
	// Address takes the commands and is the author of the answers; it must have an identity.
	// The null address takes none.
	Address address.Address
	// Allow counts a command of a member that can be answered now, and reports whether it is answered; nil answers
	// all. It must not block.
	Allow func(address.Address) bool
	// Uncount undoes an Allow whose command is deferred: the MTA tries it again. Nil: nothing is
	// counted.
	Uncount func(address.Address)
	// Fates returns what became of a message that a member sent by the outbound rules, by
	// its Message-ID; more says that it left recipients out. Nil: there is no history.
	Fates func(ctx context.Context, member address.Address, messageID string) (fates []dsn.Fate, more bool, err error)
}

// takesCommands reports whether an address is the one for mail commands.
func (g *Gateway) takesCommands(a address.Address) bool {
	return !g.Commands.Address.IsNull() && g.key(a) == g.key(g.Commands.Address)
}

// admitCommand answers the address for commands at RCPT. Where no MTA stands before the
// gateway, other clients are refused while they wait, as for a mailbox that does not exist, so
// that no report goes to an address that they made up. known is false where the address is one
// like any: an MTA has accepted it.
func (g *Gateway) admitCommand(env *relay.Envelope) (known bool, err error) {
	l := g.listeners[env.Listener]
	switch {
	case l.entitled(env.Client):
		return true, nil
	case l.Relay:
		return true, fault.Narrow(fault.Policy, fault.UnknownMailbox, "no such mailbox", nil)
	}
	return false, nil
}

// splitCommand tells the recipients that take commands from the rest of an envelope. A
// message of another client than one that may send, or of a sender elsewhere, has none: there
// the address is one like any.
func (g *Gateway) splitCommand(env *relay.Envelope) (commands []relay.Recipient, rest *relay.Envelope) {
	if !g.listeners[env.Listener].entitled(env.Client) || !g.own(env.Sender) && !env.Sender.IsNull() {
		return nil, env
	}
	return split(env, g.takesCommands)
}

// processCommand answers a mail command, and does the work for the other recipients.
func (g *Gateway) processCommand(ctx context.Context, env *relay.Envelope, msg *message.Message, to []relay.Recipient, rest *relay.Envelope) (*answer.Outcome, error) {
	o := &answer.Outcome{}
	if len(rest.Recipients) > 0 {
		o = part(rest)(g.processOthers(ctx, rest, msg))
	}
	kind, why, err := g.command(ctx, env, msg, o)
	d := Decision{Envelope: env, Outcome: "answered", Reason: string(kind), Size: msg.Size()}
	switch {
	case err != nil:
		f := fault.Of(err)
		d.Outcome, d.Reason, d.Cause, err = "refused", f.Error(), f.Kind.String(), fault.Logged(f)
	case why != "":
		d.Outcome, d.Reason = "discarded", why
	}
	for _, r := range to {
		d.Address = r.Address
		g.noteCommand(ctx, d)
		if err != nil {
			o.Refused = append(o.Refused, relay.RecipientStatus{Recipient: r, Err: err})
		} else {
			o.Returned = append(o.Returned, r.Address)
		}
	}
	return o, nil
}

// noteCommand writes what became of a mail command to the log, and passes it on. Of the
// command only its kind is in it.
func (g *Gateway) noteCommand(ctx context.Context, d Decision) {
	env := d.Envelope
	g.Log.LogAttrs(ctx, slog.LevelInfo, "mail command",
		slog.String("id", env.ID), slog.String("queue_id", env.QueueID), slog.String("message_id", env.MessageID),
		slog.String("user", env.Client.User), slog.String("sender", env.Sender.String()),
		slog.String("recipient", d.Address.String()), slog.String("outcome", d.Outcome), slog.String("reason", d.Reason))
	if g.Decided != nil {
		d.Direction, d.Reason = g.Direction(env, d.Address), "mail command "+d.Outcome+": "+d.Reason
		g.Decided(d)
	}
}

// command adds to o the answer to a mail command. why says why there is none; an error is
// the answer to the client.
func (g *Gateway) command(ctx context.Context, env *relay.Envelope, msg *message.Message, o *answer.Outcome) (kind dsn.CommandKind, why string, err error) {
	if why := g.unanswered(env, msg); why != "" {
		return "", why, nil
	}
	if err := g.authenticated(ctx, env, msg, toCarryOut); err != nil {
		return "", "", err
	}
	own, err := g.commandIdentity(ctx)
	if err == nil && own == nil {
		own, err = g.issueFor(ctx, g.Commands.Address)
	}
	if err != nil {
		return "", "", unsigned(err) // not counted: the MTA tries again
	}
	if g.Commands.Allow != nil && !g.Commands.Allow(env.Sender) {
		return "", "", fault.New(fault.Policy, "too many mail commands, try again in an hour", nil)
	}
	kind, argument := readCommand(decoded(msg.Get("Subject")))
	d, err := g.commandAnswer(ctx, env, msg, own, kind, argument)
	if err != nil {
		if g.Commands.Uncount != nil && fault.Of(err).Kind.Temporary() {
			g.Commands.Uncount(env.Sender)
		}
		return "", "", err
	}
	o.Notices = append(o.Notices, d)
	return kind, "", nil
}

// unsigned is the answer to a command that no identity can answer now.
func unsigned(cause error) error {
	return fault.New(fault.Identity, "mail commands cannot be answered now, try again later", cause)
}

// unanswered says why a message gets no answer, even of a member; "" if it may get one. To
// answer one of a program may begin a loop (RFC 3834 section 2).
func (g *Gateway) unanswered(env *relay.Envelope, msg *message.Message) string {
	switch {
	case env.Sender.IsNull():
		return "the message has no sender to answer"
	case isUnattended(msg) || automatic(msg) || msg.Root().MediaType == "multipart/report":
		return "the message is automatic or of a mailing list"
	case isRobot(env.Sender) || g.takesCommands(env.Sender):
		return "the sender is the address of a list or a program"
	}
	return ""
}

// authenticated returns an error unless the client may send as the author of the message,
// and the author is its sender: who else is answered would be chosen by a forger.
func (g *Gateway) authenticated(ctx context.Context, env *relay.Envelope, msg *message.Message, what purpose) error {
	e := &evidence{purpose: what, facts: g.envelopeFacts(env, enforce.Outbound)}
	if err := g.author(ctx, env, e, msg); err != nil {
		return err
	}
	f := &e.facts
	switch {
	case f.SignUnknown != "":
		return fault.New(fault.Unavailable, f.SignUnknown, nil)
	case f.SignForbidden != "" || f.SignExempt != "":
		return fault.New(fault.Policy, "mail commands are taken of authenticated members only: "+strings.TrimPrefix(f.SignForbidden+f.SignExempt, "not signed: "), nil)
	case g.key(f.From[0]) != g.key(env.Sender):
		return fault.New(fault.Policy, "mail commands are taken of their sender only: the author "+f.From[0].String()+" is not the sender "+env.Sender.String(), nil)
	}
	return nil
}

// readCommand reads a subject. What is no command, or lacks what it is about, is answered
// with what commands there are.
func readCommand(subject string) (kind dsn.CommandKind, argument string) {
	words := strings.Fields(subject)
	if len(words) == 0 {
		return dsn.HelpCommand, ""
	}
	switch kind = dsn.CommandKind(strings.ToLower(words[0])); {
	case (kind == dsn.HelpCommand || kind == dsn.CertificateCommand) && len(words) == 1:
		return kind, ""
	case kind == dsn.WhyCommand && len(words) == 2 && isMessageID(bracketed(words[1])):
		return kind, bracketed(words[1])
	case kind == dsn.CanCommand && len(words) == 2:
		if a, err := address.Parse(strings.TrimSuffix(strings.TrimPrefix(words[1], "<"), ">")); err == nil {
			return kind, a.String()
		}
	}
	return dsn.HelpCommand, shortened(strings.Join(words, " "))
}

// isMessageID reports whether s is a Message-ID that can stand in a field again (RFC 5322
// section 3.6.4): of visible ASCII, with one "@" that is not the first.
func isMessageID(s string) bool {
	inner, ok := strings.CutPrefix(s, "<")
	inner, closed := strings.CutSuffix(inner, ">")
	return ok && closed && len(s) <= relay.MaxMessageID && strings.Index(inner, "@") > 0 &&
		!strings.ContainsFunc(inner, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' })
}

// bracketed is a Message-ID as it stands in a field.
func bracketed(id string) string {
	if strings.HasPrefix(id, "<") {
		return id
	}
	return "<" + id + ">"
}

// maxSubject is how much is quoted of a subject that is no command, in runes.
const maxSubject = 100

func shortened(s string) string {
	if r := []rune(s); len(r) > maxSubject {
		return string(r[:maxSubject]) + "…"
	}
	return s
}
