package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/relay/returnpath"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Ask says how recipients who are held by no_certificate = "ask" are asked for a
// certificate.
type Ask struct {
	// From is the author of questions, who must have an identity; the null address is
	// Config.Postmaster.
	From address.Address
	// Again is how long a recipient is not asked again.
	Again time.Duration
	// Language returns that of a recipient, one of package dsn; nil is English for all.
	Language func(address.Address) string
	// Texts are the words of questions; nil are the built-in ones.
	Texts *dsn.QuestionTexts
	// ReturnPath makes the envelope senders of questions, and reads them when a report comes back;
	// nil has them leave with the null sender.
	ReturnPath *returnpath.Path
	// Learns reports whether an answer of an author would teach anything; nil is of all.
	Learns func(address.Address) bool
}

// questions makes the questions to those in held whose rule wants them asked, and notes
// in held who is not asked after all, and why. Who cannot be asked waits like all others;
// unmade says, in the order of held, for whom it is to be tried again, as the question could not
// be made.
func (g *Gateway) questions(ctx context.Context, env *relay.Envelope, msg *message.Message, f *enforce.Facts, held []enforce.Refusal, until time.Time) (all []relay.Question, unmade []bool) {
	unmade = make([]bool, len(held))
	for i, h := range held {
		unmade[i] = h.Ask && g.admitLater(env, f)
	}
	g.admitQuestions(env, msg, f, held)
	for i := range held {
		h := &held[i]
		if !h.Ask {
			continue
		}
		q, err := g.question(ctx, env, h, until)
		if err != nil {
			g.Log.WarnContext(ctx, "recipient is not asked for a certificate", "id", env.ID, "recipient", h.Address, "error", err)
			h.Ask, h.Note, unmade[i] = false, unasked+"the question cannot be made now", true
			continue
		}
		all = append(all, q)
	}
	return all, unmade
}

// askLater makes the questions that could not be made when the message came, for those who
// wait on, and notes in rest, in which they are, who was asked and who is still to be: also those
// of whom nothing could be decided now, as a lookup failed.
func (g *Gateway) askLater(ctx context.Context, h, rest *relay.Hold, f *enforce.Facts, waiters []enforce.Refusal) (all []relay.Question) {
	made, unmade := make([]bool, len(waiters)), make([]bool, len(waiters))
	if f == nil {
		for i, r := range waiters {
			unmade[i] = h.IsUnasked(r.Index)
		}
		rest.Unasked = unmade
		return nil
	}
	for i, r := range waiters {
		if !h.IsUnasked(r.Index) {
			continue
		}
		questions, again := g.questions(ctx, &h.Envelope, h.Message, f, []enforce.Refusal{r}, h.Until)
		for _, q := range questions {
			q.Origin = h.Envelope.Origin()
			all = append(all, q)
		}
		made[i], unmade[i] = len(questions) > 0, again[0] || r.Temporary
	}
	rest.Unasked = unmade
	noteAsked(rest, made)
	return all
}

// noteAsked notes in a hold who was asked, beside those who were before.
func noteAsked(h *relay.Hold, made []bool) {
	asked := make([]bool, len(made))
	for i, now := range made {
		asked[i] = now || h.IsAsked(i)
	}
	h.Asked = orNil(asked)
}

// areAsked says of those who are held who is asked.
func areAsked(held []enforce.Refusal) []bool {
	asked := make([]bool, len(held))
	for i, h := range held {
		asked[i] = h.Ask
	}
	return asked
}

// admitQuestions notes in held who must not be asked, and why.
func (g *Gateway) admitQuestions(env *relay.Envelope, msg *message.Message, f *enforce.Facts, held []enforce.Refusal) {
	for i := range held {
		h := &held[i]
		if !h.Ask {
			continue
		}
		if why := g.notAsked(env, msg, f, h.Index); why != "" {
			h.Ask, h.Note = false, unasked+why
		}
	}
}

// admitLater reports whether it is unknown now who may have recipients asked.
func (g *Gateway) admitLater(env *relay.Envelope, f *enforce.Facts) bool {
	return f.SignUnknown != "" && g.own(env.Sender)
}

const unasked = "not asked for a certificate: "

// waits says of one who is held why, and whether a certificate was asked for.
func waits(r enforce.Refusal) string {
	switch {
	case r.Ask:
		return r.Reason + "; asked for a certificate"
	case r.Note != "":
		return r.Reason + "; " + r.Note
	}
	return r.Reason
}

// notAsked says why recipient i must not be asked; "" if it may be. Only a person of the
// house, who may sign as the author, has someone asked: else anybody could have the gateway
// write to strangers, by a message that is forwarded or answered automatically.
func (g *Gateway) notAsked(env *relay.Envelope, msg *message.Message, f *enforce.Facts, i int) string {
	to := f.Recipients[i]
	switch {
	case !g.own(env.Sender):
		return "the sender is not local"
	case f.SignExempt != "":
		return f.SignExempt
	case f.SignForbidden != "":
		return f.SignForbidden
	case f.SignUnknown != "":
		return f.SignUnknown
	case isUnattended(msg):
		return "the message is automatic or of a mailing list"
	case to.Internal:
		return "the address is local"
	case to.Group.State == enforce.EmptyGroup || isRobot(to.Address):
		return "the address is that of a list or a program"
	case g.Ask.Learns != nil && !g.Ask.Learns(to.Address):
		return "its certificates are not harvested"
	}
	return ""
}

// isUnattended reports whether a message says that no person wrote it to its recipients
// (RFC 3834 section 5, RFC 2919, RFC 2369).
func isUnattended(m *message.Message) bool {
	return slices.ContainsFunc(m.Fields(), func(f message.Field) bool {
		name, value := strings.ToLower(f.Name), strings.ToLower(strings.TrimSpace(f.Value()))
		switch name {
		case "auto-submitted":
			return value != "no"
		case "precedence":
			return value == "bulk" || value == "list" || value == "junk"
		}
		return strings.HasPrefix(name, "list-")
	})
}

// isRobot reports whether the local part is one that lists and programs have (RFC 2142
// section 6, RFC 3834 section 4).
func isRobot(a address.Address) bool {
	local := strings.ToLower(a.Local())
	for _, name := range []string{"owner", "request", "bounce", "bounces", "confirm", "subscribe", "unsubscribe"} {
		if strings.HasPrefix(local, name+"-") || strings.HasSuffix(local, "-"+name) {
			return true
		}
	}
	return slices.Contains([]string{
		"mailer-daemon", "postmaster", "listserv", "majordomo", "mailman", "bounce", "bounces",
		"noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "do_not_reply",
	}, local)
}

var errNoAuthor = errors.New("the author of questions has no identity to sign with")

// question makes the question to one who is held. It is signed, or it is none: it asks for
// something that a forger would ask for too.
func (g *Gateway) question(ctx context.Context, env *relay.Envelope, h *enforce.Refusal, until time.Time) (q relay.Question, err error) {
	to := h.Address
	own, err := g.Keys.Signing(ctx, g.Ask.From)
	if err == nil && own == nil {
		err = fmt.Errorf("%w: %s", errNoAuthor, g.Ask.From)
	}
	if err != nil {
		return q, err
	}
	language := "en"
	if g.Ask.Language != nil {
		language = g.Ask.Language(to)
	}
	m, id, err := dsn.BuildQuestion(dsn.Question{
		ID: rand.Text(), Hostname: g.Hostname, From: g.Ask.From, To: to, Sender: env.Sender, Now: g.Clock(),
		Until: until, Contact: g.Contact, Language: language, Texts: g.Ask.Texts,
	})
	if err != nil {
		return q, err
	}
	if m, err = smime.Sign(m, own, smime.SignOptions{Time: g.Clock()}); err != nil {
		return q, err
	}
	q = relay.Question{
		Delivery: relay.Delivery{
			Recipients: []relay.Recipient{{Address: to, Notify: []string{"NEVER"}}},
			Params:     relay.MailParams{SMTPUTF8: !to.ASCII()},
			Message:    m, Listener: env.Listener,
			Asks: &relay.Asks{MessageID: id, Sender: env.Sender, Until: until, Held: env.Recipients[h.Index], EnvID: env.Params.EnvID},
		},
		Again: g.Ask.Again,
	}
	return q, g.expectReport(&q)
}
