package gateway

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// commandAnswer makes the answer to a mail command of the sender of env, signed by own. There
// is none without a signature: what it says would be worth forging.
func (g *Gateway) commandAnswer(ctx context.Context, env *relay.Envelope, msg *message.Message, own *certs.Identity, kind dsn.CommandKind, argument string) (d relay.Delivery, err error) {
	a := dsn.CommandAnswer{
		Kind: kind, ID: rand.Text(), Hostname: g.Hostname, From: g.Commands.Address, To: env.Sender,
		Now: g.Clock(), Contact: g.Contact, Argument: argument, Texts: g.Texts,
	}
	if id := strings.TrimSpace(msg.Get("Message-ID")); isMessageID(id) {
		a.InReplyTo = id
	}
	switch kind {
	case dsn.WhyCommand:
		g.answerWhy(ctx, env, &a)
	case dsn.CanCommand:
		err = g.answerCan(ctx, &a)
	case dsn.CertificateCommand:
		g.answerCertificate(ctx, &a)
	}
	if err != nil {
		return d, err
	}
	m, err := dsn.BuildCommandAnswer(a)
	if err == nil {
		m, err = smime.Sign(m, own, smime.SignOptions{Time: g.Clock()})
	}
	if err != nil {
		return d, fault.New(fault.Internal, "internal error, try again later ("+env.ID+")", err)
	}
	return relay.Delivery{
		Recipients: []relay.Recipient{{Address: env.Sender, Notify: []string{"NEVER"}}},
		Params:     relay.MailParams{SMTPUTF8: !env.Sender.ASCII()},
		Message:    m, Listener: env.Listener,
	}, nil
}

// commandIdentity is what answers are signed with; nil if there is none and one can be issued.
func (g *Gateway) commandIdentity(ctx context.Context) (*certs.Identity, error) {
	from := g.Commands.Address
	own, err := g.Keys.Signing(ctx, from)
	if err != nil || own != nil {
		return own, err
	}
	if g.Issuer != nil && g.Issuer.Ready(ctx, from) == nil {
		return nil, nil
	}
	return nil, fmt.Errorf("%s has no identity to sign answers with", from)
}

// answerWhy says what became of a message of the sender. A message of another is answered
// like one that does not exist.
func (g *Gateway) answerWhy(ctx context.Context, env *relay.Envelope, a *dsn.CommandAnswer) {
	a.State = dsn.StateUnknown
	if g.Commands.Fates == nil {
		return
	}
	fates, more, err := g.Commands.Fates(ctx, env.Sender, a.Argument)
	switch {
	case err != nil:
		g.Log.WarnContext(ctx, "the history could not be searched for a mail command", "id", env.ID, "error", err)
		return
	case len(fates) == 0:
		a.State = dsn.StateNone
		return
	}
	a.State, a.Fates, a.More = dsn.StateFound, fates, more
}

// answerCan says whether a recipient can be encrypted to: with a certificate of the
// recipient, or with that of the recipient's domain.
func (g *Gateway) answerCan(ctx context.Context, a *dsn.CommandAnswer) error {
	to, err := address.Parse(a.Argument)
	if err != nil {
		return fault.New(fault.BadAddress, "not an address", err)
	}
	found := g.lookup(ctx, to)
	facts := certificateFacts(found)
	one := dsn.Fate{Recipient: to, Reason: fmt.Sprintf("no valid S/MIME certificate for %s: %s", to, facts.Reason)}
	a.State = dsn.StateUnknown
	switch found.Outcome {
	case directory.Usable:
		a.State = dsn.StateFound
		a.Certificates = described(found.Certificates)
	case directory.None:
		a.State, a.Fates = dsn.StateNone, []dsn.Fate{one}
	}
	if a.State == dsn.StateFound {
		return nil
	}
	// The rule may have mail encrypted for the domain.
	domain, err := g.domainOf(ctx, a.To, to)
	if err != nil {
		return err
	}
	if domain.Outcome == directory.Usable {
		a.State, a.Fates, a.Certificates = dsn.StateFound, nil, described(domain.Certificates)
	}
	return nil
}

// domainOf is the lookup of the domain certificate that serves for a recipient of a member.
func (g *Gateway) domainOf(ctx context.Context, member, to address.Address) (r directory.Result, err error) {
	env := &relay.Envelope{Sender: member, Recipients: []relay.Recipient{{Address: to}}}
	msg, err := assumed(env)
	if err != nil {
		return r, err
	}
	e, err := g.collect(ctx, env, msg, hypothetical)
	if err != nil {
		return r, err
	}
	return e.domains[0], nil
}

// answerCertificate gives the sender the certificates of their own address. Where there are
// none, one is ordered if the configuration orders them for the address.
func (g *Gateway) answerCertificate(ctx context.Context, a *dsn.CommandAnswer) {
	own, err := g.Keys.Signing(ctx, a.To)
	if err == nil && own == nil && g.Issuer != nil {
		if ready := g.Issuer.Ready(ctx, a.To); ready == nil {
			own, err = g.issueFor(ctx, a.To)
		} else {
			g.Log.InfoContext(ctx, "no certificate can be ordered for a mail command", "address", a.To.String(), "error", ready)
		}
	}
	switch {
	case errors.Is(err, certs.ErrOrdered):
		a.State = dsn.StateOrdered
		return
	case err != nil:
		a.State = dsn.StateUnknown
		return
	case own == nil:
		a.State = dsn.StateNone
		return
	}
	list := []*x509.Certificate{own.Certificate}
	// There may be another one to encrypt to.
	if reply, err := g.Keys.ForReplies(ctx, a.To); err == nil && reply != nil && !slices.ContainsFunc(list, reply.Certificate.Equal) {
		list = append(list, reply.Certificate)
	}
	a.State, a.Certificates = dsn.StateFound, described(list)
	for _, c := range list {
		a.Files = append(a.Files, c.Raw)
	}
}

// described are certificates in the words of an answer.
func described(list []*x509.Certificate) (all []dsn.Expiring) {
	for _, c := range list {
		all = append(all, dsn.Expiring{
			Addresses: certs.Addresses(c), Subject: pkix.SubjectString(c), Issuer: pkix.IssuerString(c),
			Fingerprint: fmt.Sprintf("%x", fingerprint(c)), Ends: c.NotAfter,
		})
	}
	return all
}
