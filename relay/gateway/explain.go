package gateway

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Explanation is what `explain` prints: what would become of a message and why.
// Nothing is sent, and nothing is signed or encrypted.
type Explanation struct {
	// Direction is "outbound", "inbound", or "both" where recipients differ.
	Direction enforce.Direction `json:"direction"`
	Sender    string            `json:"sender"`
	// Refused is the reply that the message as a whole would get; "" if none.
	Refused string `json:"refused,omitempty"`
	// Identity tells whether the message can be signed: "available", or why not.
	Identity string `json:"identity,omitempty"`
	// IdentityNotes say which identity signs if it is one of another address of the
	// same mailbox, and why one does not.
	IdentityNotes []string `json:"identity_notes,omitempty"`
	Signed        bool     `json:"signed"`    // already, as it came
	Encrypted     bool     `json:"encrypted"` // already, as it came
	Automatic     bool     `json:"automatic"` // a report or reply that is not touched
	// SenderGroups are the groups that rules name for senders, as far as they were
	// asked for.
	SenderGroups []ExplainedMembership `json:"sender_groups,omitempty"`
	// Expanded are the recipients in whose place their members stand.
	Expanded []ExplainedGroup `json:"expanded,omitempty"`
	// Recipients are in the order given, the members of groups after them.
	Recipients []ExplainedRecipient `json:"recipients,omitempty"`
	// Inbound is what is found in an inbound message: one element for those who
	// see the same form of it.
	Inbound []Inspection `json:"inbound,omitempty"`
}

// ExplainedRecipient is what would become of one recipient.
type ExplainedRecipient struct {
	Address string `json:"address"`
	Hidden  bool   `json:"hidden"` // named in the envelope only
	// Through are the groups in whose place the recipient stands.
	Through []string `json:"through,omitempty"`
	// Memberships are those that the rule could depend on.
	Memberships []ExplainedMembership `json:"memberships,omitempty"`
	Rule        string                `json:"rule"`
	Line        int                   `json:"line,omitempty"` // of the rule in the configuration file
	// Outcome is "passed", "signed", "encrypted", "signed, encrypted",
	// "refused", "deferred", "stripped" or "held"; of a recipient that takes mail
	// commands "answered" or "discarded".
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	// Report says what a rule in report mode would have done.
	Report string `json:"report,omitempty"`
	// Reply is the SMTP reply of one who is refused or deferred.
	Reply string `json:"reply,omitempty"`
	// Copy numbers the copies from 1: who has the same shares one.
	Copy      int        `json:"copy,omitempty"`
	Profile   string     `json:"profile,omitempty"`
	Cipher    cms.Cipher `json:"cipher,omitempty"`
	CipherWhy string     `json:"cipher_why,omitempty"`
	// SubjectHidden is why the subject is not seen outside of the encryption (RFC 9788); "" if
	// it is.
	SubjectHidden string `json:"subject_hidden,omitempty"`
	// Sources were asked for certificates; Candidates are what they had.
	Sources []ExplainedSource `json:"sources,omitempty"`
	// Partner is what is agreed with the domain; nil if nothing is.
	Partner    *ExplainedPartner    `json:"partner,omitempty"`
	Candidates []ExplainedCandidate `json:"candidates,omitempty"`
}

// ExplainedPartner is what is agreed with the domain of a recipient.
type ExplainedPartner struct {
	Domain            string `json:"domain"`
	Line              int    `json:"line,omitempty"` // of the table in the configuration file
	DomainCertificate string `json:"domain_certificate,omitempty"`
	Profile           string `json:"profile,omitempty"`
	Contact           string `json:"contact,omitempty"`
}

// ExplainedSource is the answer of one source of certificates.
type ExplainedSource struct {
	Source       string  `json:"source"`
	Found        int     `json:"found"`
	Error        string  `json:"error,omitempty"`
	Milliseconds float64 `json:"milliseconds"`
	Cached       bool    `json:"cached"`
	// Notes are remarks for administrators: entries left out, values that could
	// not be read.
	Notes []string `json:"notes,omitempty"`
}

// ExplainedCandidate is a certificate that was seen, with the verdict on it.
type ExplainedCandidate struct {
	Source    string       `json:"source"`
	SHA256    string       `json:"sha256"`
	Subject   string       `json:"subject"`
	Issuer    string       `json:"issuer"`
	Serial    string       `json:"serial"`
	NotBefore time.Time    `json:"not_before"`
	NotAfter  time.Time    `json:"not_after"`
	Result    certs.Result `json:"result"`
	Reason    certs.Reason `json:"reason,omitempty"`
	Detail    string       `json:"detail,omitempty"`
	// Chain are the subjects of the issuers, up to the trust anchor or as far as
	// they could be found; Trust is "trusted", "untrusted" or "unchecked", and
	// Revocation "good", "revoked", "unknown" or "unchecked".
	Chain      []string `json:"chain,omitempty"`
	Trust      string   `json:"trust,omitempty"`
	Revocation string   `json:"revocation,omitempty"`
	// Ciphers are those that the owner is known to read, the preferred first.
	Ciphers []cms.Cipher `json:"ciphers,omitempty"`
	// Used says that the message would be encrypted to it.
	Used bool `json:"used"`
}

// Inspection is what is found in an inbound message for some of its recipients.
type Inspection struct {
	Recipients []string     `json:"recipients"`
	Report     smime.Report `json:"report"`
	// Outcomes are what the inbound rules say for each recipient.
	Outcomes []InboundOutcome `json:"outcomes"`
	// Notes say for which of them the message is decrypted with the identity of another
	// address of the same mailbox.
	Notes []string `json:"notes,omitempty"`
	// Rules are those that matched; their profiles say what the message must come
	// up to.
	Rules []InboundRule `json:"rules,omitempty"`
}

// InboundOutcome is what would become of an inbound message for a recipient.
type InboundOutcome struct {
	Recipient string `json:"recipient"`
	// Rule is the inbound rule that decided; "" if none matched.
	Rule string `json:"rule,omitempty"`
	Line int    `json:"line,omitempty"` // of the rule in the configuration file
	// Outcome is "delivered", "tagged", "quarantined", "refused" or "deferred".
	Outcome string `json:"outcome"`
	// Deliver is the form in which it is delivered: "decrypted", "readable" or "as-is".
	Deliver string `json:"deliver"`
	// Reason says why it is not delivered, Note what is not obvious from the rule,
	// Report what a rule in report mode would have done, and Reply is the SMTP reply of
	// a recipient who is refused or deferred.
	Reason string `json:"reason,omitempty"`
	Note   string `json:"note,omitempty"`
	Report string `json:"report,omitempty"`
	Reply  string `json:"reply,omitempty"`
}

// explainDecision tells a decision.
func (g *Gateway) explainDecision(d enforce.InboundDecision) InboundOutcome {
	x := InboundOutcome{
		Recipient: d.Address.String(), Rule: d.Rule, Line: d.Line, Outcome: "delivered", Deliver: d.Form.Layers.String(),
		Reason: d.Reason, Note: d.Note, Report: d.Report,
	}
	switch d.Action {
	case enforce.Tag:
		x.Outcome = "tagged"
	case enforce.Quarantine:
		x.Outcome = "quarantined"
	case enforce.Reject:
		x.Outcome, x.Reply = "refused", g.replyText(rejection(d))
		if d.Temporary {
			x.Outcome = "deferred"
		}
	}
	return x
}

// InboundRule is a rule that matched an inbound message.
type InboundRule struct {
	Rule    string `json:"rule"`
	Line    int    `json:"line,omitempty"`
	Profile string `json:"profile"`
	// Minimum says in words what the profile asks; "" if nothing.
	Minimum string `json:"minimum,omitempty"`
}

// askedBy tells the rules with what their profiles ask.
func (g *Gateway) askedBy(demands []enforce.Demand) []InboundRule {
	var list []InboundRule
	for _, d := range demands {
		p := g.Profiles[d.Profile]
		list = append(list, InboundRule{Rule: d.Rule, Line: d.Line, Profile: d.Profile, Minimum: p.Minimum().String()})
	}
	return list
}

// Explain tells what would become of the message of an envelope. Of an envelope
// that names a listener nothing is assumed: it takes the way of a message that
// comes by it. Without one the client is assumed to be one that may send by its
// listener when the sender is ours; and without a client too, one that may send as
// the author. msg may be nil: then one that names all recipients openly is assumed.
func (g *Gateway) Explain(ctx context.Context, env *relay.Envelope, msg *message.Message) (*Explanation, error) {
	what := toFollow
	switch {
	case env.Listener != "":
		if _, ok := g.listeners[env.Listener]; !ok {
			return nil, fmt.Errorf("listener: %q: not configured; configured listeners: %q", env.Listener, slices.Sorted(maps.Keys(g.listeners)))
		}
	case env.Client != relay.Client{}:
		what = toExplain
	default:
		what = hypothetical
	}
	given := msg != nil
	if !given {
		var err error
		if msg, err = assumed(env); err != nil {
			return nil, err
		}
	}
	env, apart := g.withoutRouted(env)
	env, commands := g.explainCommands(ctx, env, msg, what)
	apart = append(apart, commands...)
	out, in := g.split(env)
	out, in = cmp.Or(out, without(env)), cmp.Or(in, without(env)) // an explanation names both
	if what == toFollow && given {
		admitted, err := g.required(env, msg)
		if err != nil {
			return &Explanation{Direction: direction(out, in), Sender: env.Sender.String(), Recipients: apart, Refused: g.replyText(err)}, nil
		}
		msg = admitted
	}
	if what != toFollow && (g.own(env.Sender) || env.Sender.IsNull()) {
		out, in = env, without(env)
	}
	x := g.explain(ctx, out, in, msg, what)
	x.Recipients = append(x.Recipients, apart...)
	return x, nil
}

// withoutRouted takes out the recipients that are refused when they are named, for
// their addresses: no rule is asked about them.
func (g *Gateway) withoutRouted(env *relay.Envelope) (*relay.Envelope, []ExplainedRecipient) {
	rest := *env
	rest.Recipients = nil
	var refused []ExplainedRecipient
	for _, r := range env.Recipients {
		if err := g.routed(env, r.Address); err != nil {
			refused = append(refused, ExplainedRecipient{
				Address: r.Address.String(), Outcome: "refused", Reason: fault.Of(err).Public, Reply: g.replyText(err),
			})
			continue
		}
		rest.Recipients = append(rest.Recipients, r)
	}
	return &rest, refused
}

// ExplainEnvelope is Explain for a message that goes out by the outbound rules, of
// a client that may send by its listener.
func (g *Gateway) ExplainEnvelope(ctx context.Context, env *relay.Envelope, msg *message.Message) *Explanation {
	return g.explain(ctx, env, without(env), msg, toExplain)
}

// ExplainFound tells what would become of a message in which something was found, by
// the inbound rules alone.
func (g *Gateway) ExplainFound(ctx context.Context, env *relay.Envelope, msg *message.Message, found enforce.Found) []InboundOutcome {
	in := &arrival{env: env, msg: msg, kind: smime.Inspect(msg)}
	f := g.inboundFacts(ctx, in)
	f.Found = found
	var all []InboundOutcome
	for _, d := range g.InboundPolicy.Decide(&f) {
		all = append(all, g.explainDecision(d))
	}
	return all
}

// explain does what Process does, for the recipients of either direction, up to the
// decision.
func (g *Gateway) explain(ctx context.Context, out, in *relay.Envelope, msg *message.Message, what purpose) *Explanation {
	x := &Explanation{Direction: direction(out, in), Sender: out.Sender.String()}
	if len(in.Recipients) > 0 {
		g.explainInbound(ctx, x, in, msg)
	}
	if len(out.Recipients) == 0 {
		return x
	}
	e, err := g.judge(ctx, out, msg, what)
	if err != nil {
		x.Refused = g.replyText(err)
		return x
	}
	x.facts(&e.facts)
	x.IdentityNotes = e.identityNotes
	x.groups(e)
	plan := answerable(out, g.decide(g.Policy, &e.facts))
	g.admitQuestions(out, msg, &e.facts, plan.Held)
	x.plan(g, e, plan, g.answersHidden(ctx, msg, plan))
	return x
}

// bothDirections is the direction of a message whose recipients have different ones.
const bothDirections enforce.Direction = "both"

// direction is that of a message with these outbound and inbound recipients.
func direction(out, in *relay.Envelope) enforce.Direction {
	switch {
	case len(in.Recipients) == 0:
		return enforce.Outbound
	case len(out.Recipients) == 0:
		return enforce.Inbound
	}
	return bothDirections
}

func (g *Gateway) explainInbound(ctx context.Context, x *Explanation, env *relay.Envelope, msg *message.Message) {
	in := g.arrive(ctx, env, msg, toExplain)
	groups := g.measured(in, g.openFor(ctx, in))
	in.secret = g.Inbound.Decrypt && encrypted(in, groups)
	for _, group := range g.acted(in, groups, false) {
		i := Inspection{Report: group.opened.Report, Rules: g.askedBy(group.demands)}
		for _, d := range group.decided {
			i.Recipients = append(i.Recipients, d.Address.String())
			i.Outcomes = append(i.Outcomes, g.explainDecision(d))
			if note := in.notes[d.Address.String()]; note != "" {
				i.Notes = append(i.Notes, note)
			}
		}
		x.Inbound = append(x.Inbound, i)
	}
}

// assumed is a message that shows its sender and recipients.
func assumed(env *relay.Envelope) (*message.Message, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s\r\n", env.Sender)
	for _, r := range env.Recipients {
		fmt.Fprintf(&b, "To: %s\r\n", r.Address)
	}
	b.WriteString("\r\n")
	return message.Parse([]byte(b.String()))
}

func (x *Explanation) facts(f *enforce.Facts) {
	x.Signed, x.Encrypted, x.Automatic = f.Content.Signed, f.Content.Encrypted, f.Content.Exempt
	x.Identity = "available"
	if f.Identity != enforce.Available || f.SignExempt != "" || f.SignForbidden != "" || f.SignUnknown != "" {
		x.Identity = cmp.Or(f.SignExempt, f.SignForbidden, f.SignUnknown, f.IdentityReason)
		if f.Issuable {
			x.Identity += "; one is issued if the rule permits it"
		}
	}
}

// plan tells a plan; hidden is why a subject that its profile shows is hidden, "" if it is not.
func (x *Explanation) plan(g *Gateway, e *evidence, plan enforce.Plan, hidden string) {
	x.Recipients = make([]ExplainedRecipient, len(e.facts.Recipients))
	for i := range x.Recipients {
		r := &x.Recipients[i]
		r.Hidden = e.facts.Recipients[i].Hidden
		r.groups(e.facts.Recipients[i])
		r.AddLookup(e.results[i])
		r.AddLookup(e.domains[i])
		if p := e.facts.Recipients[i].Partner; p != nil {
			r.Partner = &ExplainedPartner{Domain: p.Domain, Line: p.Line, DomainCertificate: p.Certificate, Profile: p.Profile, Contact: p.Contact}
		}
	}
	for n, c := range plan.Copies {
		for _, a := range c.Recipients {
			r := &x.Recipients[a.Index]
			r.assign(a)
			r.Outcome, r.Reason, r.Copy, r.Report = c.Treatment(), a.Note, n+1, a.Report
			r.steps(g, e, c, a.Index, hidden)
		}
	}
	x.permitted(g, e, plan)
	for _, d := range plan.Refused {
		r := &x.Recipients[d.Index]
		r.assign(d.Assigned)
		r.Outcome, r.Reason, r.Reply = "refused", d.Reason, g.replyText(refusalError(d))
		if d.Temporary {
			r.Outcome = "deferred"
		}
	}
	for _, d := range plan.Stripped {
		r := &x.Recipients[d.Index]
		r.assign(d.Assigned)
		r.Outcome, r.Reason = "stripped", d.Reason
	}
	for _, d := range plan.Held {
		r := &x.Recipients[d.Index]
		r.assign(d.Assigned)
		r.Outcome, r.Reason = "held", waits(d)
	}
}

// permitted says where a profile does not allow a key that another than it chose: then
// no copy is made.
func (x *Explanation) permitted(g *Gateway, e *evidence, plan enforce.Plan) {
	var err error
	for _, c := range plan.Copies {
		if err = g.permitted(e, c); err != nil {
			break
		}
	}
	if err == nil {
		return
	}
	x.Refused = g.replyText(err)
	for _, c := range plan.Copies {
		for _, a := range c.Recipients {
			r := &x.Recipients[a.Index]
			r.Outcome, r.Reason, r.Reply, r.Copy = "refused", fault.Of(err).Public, x.Refused, 0
			if fault.Of(err).Kind.Temporary() {
				r.Outcome = "deferred"
			}
		}
	}
}

func (r *ExplainedRecipient) assign(a enforce.Assigned) {
	r.Address, r.Rule, r.Line = a.Address.String(), a.Rule, a.Line
}

// steps tells the algorithms of the copy for recipient i, and what is seen of it outside.
func (r *ExplainedRecipient) steps(g *Gateway, e *evidence, c enforce.Copy, i int, hidden string) {
	if c.Sign != nil {
		r.Profile = c.Sign.Profile
	}
	if c.Encrypt == nil {
		return
	}
	r.Profile = c.Encrypt.Profile
	r.Cipher, r.CipherWhy = e.cipher(g.Profiles[r.Profile], *c.Encrypt)
	if r.SubjectHidden = hidden; g.Profiles[r.Profile].ProtectEncrypted {
		r.SubjectHidden = hiddenByProfile
	}
	to := &e.facts.Recipients[i]
	for _, fp := range slices.Concat(to.Certificate.Usable, to.Domain.Usable) {
		if !slices.Contains(c.Encrypt.Certificates, fp) {
			continue
		}
		for j := range r.Candidates {
			if r.Candidates[j].SHA256 == fmt.Sprintf("%x", fp) {
				r.Candidates[j].Used = true
			}
		}
	}
}

// AddLookup adds what a lookup came to.
func (r *ExplainedRecipient) AddLookup(result directory.Result) {
	for _, a := range result.Answers {
		s := ExplainedSource{
			Source: a.Source, Found: a.Found, Cached: a.Cached, Milliseconds: a.Elapsed.Seconds() * 1000, Notes: a.Notes,
		}
		if a.Err != nil {
			s.Error = a.Err.Error()
		}
		r.Sources = append(r.Sources, s)
	}
	for _, c := range result.Candidates {
		r.Candidates = append(r.Candidates, explained(c))
	}
}

func explained(c directory.Candidate) ExplainedCandidate {
	cert, v := c.Certificate, c.Verdict
	x := ExplainedCandidate{
		Source: c.Source, SHA256: fmt.Sprintf("%x", fingerprint(cert)),
		Subject: pkix.SubjectString(cert), Issuer: pkix.IssuerString(cert), Serial: fmt.Sprintf("%x", cert.SerialNumber),
		NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(),
		Result: v.Result, Reason: v.Reason, Detail: v.Detail,
		Trust: v.ChainState, Revocation: v.Revocation, Ciphers: c.Ciphers,
	}
	for i, issuer := range v.Chain {
		if i > 0 {
			x.Chain = append(x.Chain, pkix.SubjectString(issuer))
		}
	}
	return x
}

// replyText is the reply that the client gets.
func (g *Gateway) replyText(err error) string {
	r := relay.ReplyFor(err)
	r.Text += relay.Help(err, g.Contact)
	return r.String()
}
