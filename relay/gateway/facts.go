package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// evidence is the facts of an outbound message with what stands behind them.
type evidence struct {
	facts   enforce.Facts
	purpose purpose
	// identities are those that can sign, by the word of the rule; "" is the
	// sender's.
	identities map[string]*certs.Identity
	// identityNotes are remarks on the identities of the author's mailbox, for explain.
	identityNotes []string
	certificates  map[enforce.Fingerprint]*x509.Certificate
	// ciphers are what the owners of certificates claim to read.
	ciphers map[enforce.Fingerprint][]cms.Cipher
	// kind is what the message was when it came: its readers are those to whom it is
	// encrypted already.
	kind smime.Kind
	// recipients are those of the facts: of the envelope, with members in the
	// place of groups.
	recipients []relay.Recipient
	expansions []answer.Expansion
	visible    map[string]bool // see shown
	// results are those of the lookups, in the order of the recipients; zero
	// where no lookup was needed.
	results []directory.Result
	// domains are those for the domain certificates of recipients, as far as they were
	// asked for.
	domains map[int]directory.Result
}

// purpose is what a decision is for.
type purpose int

const (
	toCarryOut   purpose = iota
	toFollow             // the same, and nothing will be done
	toExplain            // nothing will be done, of a client that may send by its listener
	hypothetical         // nothing will be done, of a client that may sign as the author
	toRelease            // some recipients of a message that was held for them
)

// explains reports whether nothing will be done.
func (p purpose) explains() bool { return p == toFollow || p == toExplain || p == hypothetical }

// follows reports whether the listener says what its client may do, for a message
// that comes now.
func (p purpose) follows() bool { return p == toCarryOut || p == toFollow }

// collect finds out what a decision on an outbound message needs.
func (g *Gateway) collect(ctx context.Context, env *relay.Envelope, msg *message.Message, what purpose) (*evidence, error) {
	e := &evidence{
		purpose:      what,
		identities:   make(map[string]*certs.Identity),
		certificates: make(map[enforce.Fingerprint]*x509.Certificate),
		ciphers:      make(map[enforce.Fingerprint][]cms.Cipher),
	}
	e.kind = smime.Inspect(msg)
	content, err := g.content(ctx, env, enforce.Outbound, msg, &e.kind)
	if err != nil {
		return nil, err
	}
	e.facts = g.envelopeFacts(env, enforce.Outbound)
	e.facts.Content, e.facts.Triggers = content, g.Triggers.wishes(msg)
	if err := g.author(ctx, env, e, msg); err != nil {
		return nil, err
	}
	e.visible, e.recipients = shown(msg), env.Recipients
	for i := range e.facts.Recipients {
		r := &e.facts.Recipients[i]
		// Groups of a message that was held were expanded when it came.
		r.Hidden, r.Unnamed = e.hides(r.Address), e.purpose == toRelease
	}
	needs := g.findGroups(ctx, e)
	g.findIdentities(ctx, e, needs)
	g.findCertificates(ctx, e, needs)
	return e, nil
}

// envelopeFacts are what an envelope alone says, for the rules of a direction.
func (g *Gateway) envelopeFacts(env *relay.Envelope, direction enforce.Direction) enforce.Facts {
	f := enforce.Facts{
		Direction: direction,
		Client:    enforce.Client{User: env.Client.User, Addr: env.Client.Addr, Listener: env.Listener},
		Sender:    env.Sender,
		Others:    env.Others,
	}
	for _, r := range env.Recipients {
		f.Recipients = append(f.Recipients, g.recipientFacts(r.Address))
	}
	return f
}

// recipientFacts are what the address of a recipient alone says.
func (g *Gateway) recipientFacts(a address.Address) enforce.RecipientFacts {
	return enforce.RecipientFacts{Address: a, Internal: g.own(a), Partner: g.Partners.Of(a)}
}

// author reads From (RFC 5322 section 3.6.2) and finds out whether the message may
// be signed in the name that it bears.
func (g *Gateway) author(ctx context.Context, env *relay.Envelope, e *evidence, msg *message.Message) error {
	from, err := msg.Addresses("From")
	f := &e.facts
	f.From = from
	if f.Content.Exempt {
		return nil // it may have no author
	}
	switch {
	case f.Content.Report && (err != nil || len(from) == 0):
		f.SignExempt = "not signed: the report does not name its author"
	case err != nil:
		return fault.New(fault.Malformed, "the From field cannot be understood", err)
	case len(from) == 0:
		return fault.New(fault.Malformed, "the message has no From field", nil)
	case !slices.ContainsFunc(from, g.own):
		// What the house forwards, and the reports of an MTA that bears another
		// name: there is no author to sign for, and nothing to wait or to ask for.
		f.SignExempt = "not signed: the author " + from[0].String() + " is not of a local domain"
	case len(from) > 1 || len(msg.All("From")) > 1:
		f.SignForbidden = "the message has several From addresses"
	case slices.ContainsFunc(msg.Fields(), func(field message.Field) bool { return stamped(field, g.Hostname) }):
		// A mailbox server that redirects, or "sendmail" called by it, may be a client
		// that may send. What it brings came in under a name that its sender chose.
		f.SignForbidden = fmt.Sprintf("the message is forwarded: its author %s is not the local sender", from[0])
	case e.purpose == hypothetical:
		// Who asks without naming a client asks about one who may.
	case e.purpose != toExplain && !g.maySend(env, f):
	default:
		f.SignForbidden, f.SignUnknown = g.entitlement(ctx, f.Client, from[0])
	}
	return nil
}

// hides reports whether the message does not show an address as a recipient.
func (e *evidence) hides(a address.Address) bool { return !e.visible[a.Key(address.IgnoreCase)] }

// shown returns the addresses that the message shows as recipients; nil if that
// is not known, and then every recipient counts as hidden.
func shown(msg *message.Message) map[string]bool {
	visible := make(map[string]bool)
	for _, name := range []string{"To", "Cc", "Resent-To", "Resent-Cc"} {
		list, err := msg.Addresses(name)
		if err != nil {
			return nil
		}
		for _, a := range list {
			visible[a.Key(address.IgnoreCase)] = true
		}
	}
	return visible
}

// fingerprint is by what the facts, the log and an explanation name a certificate.
func fingerprint(cert *x509.Certificate) enforce.Fingerprint { return sha256.Sum256(cert.Raw) }
