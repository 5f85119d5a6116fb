package enforce

import (
	"errors"
	"slices"

	"github.com/smimerelay/smimerelay/smime/address"
)

// InboundRule is an inbound rule as written: data, with the words of the
// configuration file.
type InboundRule struct {
	Name string
	Line int // where it stands in its file, for messages; 0 if unknown

	// Conditions on the message as it came; see Rule.
	Sender, ExceptSender         []string
	Recipient, ExceptRecipient   []string
	Network, ExceptNetwork       []string
	Listener, ExceptListener     []string
	From, ExceptFrom             []string
	Header, ExceptHeader         []string
	Subject, ExceptSubject       []string
	Attachment, ExceptAttachment []string
	LargerThan, SmallerThan      int // octets; 0 is no condition
	// Groups of the directory; see Rule. Where it is unknown whether a recipient is in
	// one, the rule may match.
	RecipientGroup, ExceptRecipientGroup []string

	// Conditions on what was found in it; see Found.
	Result, ExceptResult       []string
	Reason, ExceptReason       []string // globs
	Chain, ExceptChain         []string
	Signer, ExceptSigner       []string // see Patterns, or "sha256:" and a fingerprint
	Algorithm, ExceptAlgorithm []string // globs
	Signed, Encrypted          string   // "yes", "no"

	// OnResult is "deliver" (the default), "tag", "quarantine" or "reject".
	OnResult string
	// Deliver is "decrypted" (the default), "readable" or "as-is"; see Form.
	Deliver string
	// StripSignature is "never" (the default), "valid" or "always", with deliver =
	// "readable".
	StripSignature string
	// Original is "none" (the default), "attach" or "archive", with deliver = "readable"
	// or "decrypted".
	Original string

	// Notify are those who are notified that a message is in quarantine: addresses, and
	// NotifyRecipient for each recipient of it.
	Notify []string
	// Mode is "enforce" (the default) or "report": decide and log, and deliver.
	Mode string
}

// NotifyRecipient, in InboundRule.Notify, is the recipient.
const NotifyRecipient = "recipient"

// Action is what is done with an inbound message for a recipient. Larger ones
// protect more.
type Action int

// The actions.
const (
	Deliver Action = iota
	Tag            // deliver with what was found said in the subject
	Quarantine
	Reject
)

// Form is the form in which an inbound message is delivered. The zero value is
// decrypted.
type Form struct {
	Layers Layers
	// Strip is which clear signatures are removed from what is Readable.
	Strip Strip
	// Original is where the message as it came is kept of one that is delivered in
	// another form.
	Original Original
}

// Copies is how many times its size a message takes in this form, beside what decrypting
// it takes.
func (f Form) Copies() int64 {
	var n int64
	if f.Layers == Readable {
		n++
	}
	if f.Original == OriginalAttached {
		n += 2
	}
	return n
}

// Layers say which layers of a message are removed for its recipients.
type Layers int

// The layers that are removed: those that encrypt; those too that a reader without
// S/MIME cannot open; none.
const (
	Decrypted Layers = iota
	Readable
	AsIs
)

// String is the word of the configuration.
func (l Layers) String() string {
	switch l {
	case Readable:
		return "readable"
	case AsIs:
		return "as-is"
	}
	return "decrypted"
}

// Original says where the message as it came is kept.
type Original int

// The places: nowhere, in the message that is delivered, in the archive.
const (
	OriginalGone Original = iota
	OriginalAttached
	OriginalArchived
)

// Strip says which clear signatures are removed.
type Strip int

// The signatures.
const (
	StripNever Strip = iota
	StripValid
	StripAlways
)

var (
	layerWords    = map[string]Layers{"": Decrypted, "decrypted": Decrypted, "readable": Readable, "as-is": AsIs}
	stripWords    = map[string]Strip{"": StripNever, "never": StripNever, "valid": StripValid, "always": StripAlways}
	originalWords = map[string]Original{"": OriginalGone, "none": OriginalGone, "attach": OriginalAttached, "archive": OriginalArchived}
)

// actionWords are the words of the configuration.
var actionWords = map[string]Action{"": Deliver, "deliver": Deliver, "tag": Tag, "quarantine": Quarantine, "reject": Reject}

// inboundRule is a compiled InboundRule.
type inboundRule struct {
	rule        // of which only the conditions count
	action      Action
	form        Form
	toRecipient bool
	notify      []address.Address
	plain       bool // it is for what is not encrypted
	judges      bool // it has conditions on what a signature is worth
}

// InboundPolicy is a compiled list of inbound rules. It does not change and may be
// shared. A nil one delivers all mail.
type InboundPolicy struct {
	rules []inboundRule
	// attachments says that some rule has a condition on them, header that one has one on
	// fields.
	attachments, header bool
	fields              []string // of the header, on which there are conditions, in lower case
	groups              bool     // some rule has a condition on groups
}

// foundKinds are the conditions on what was found that take lists.
var foundKinds = []struct {
	key     string
	compile func(string) (test, error)
	list    func(*InboundRule) (yes, except []string)
}{
	{"result", wordTest(resultWords, func(f *Found) string { return f.Result }), func(r *InboundRule) ([]string, []string) { return r.Result, r.ExceptResult }},
	{"reason", reasonTest, func(r *InboundRule) ([]string, []string) { return r.Reason, r.ExceptReason }},
	{"chain", wordTest(chainWords, func(f *Found) string { return f.Chain }), func(r *InboundRule) ([]string, []string) { return r.Chain, r.ExceptChain }},
	{"signer", signerTest, func(r *InboundRule) ([]string, []string) { return r.Signer, r.ExceptSigner }},
	{"algorithm", algorithmTest, func(r *InboundRule) ([]string, []string) { return r.Algorithm, r.ExceptAlgorithm }},
}

// Copies is Form.Copies for all copies that the rules may make of a message for a number
// of recipients, whatever was found in it.
func (p *InboundPolicy) Copies(recipients int) int64 {
	if p == nil {
		return 0
	}
	var all, most int64
	counted := make(map[Form]bool)
	for _, r := range p.rules {
		if n := r.form.Copies(); !counted[r.form] {
			counted[r.form] = true
			all, most = all+n, max(most, n)
		}
	}
	return min(all, most*int64(recipients))
}

// CompileInbound compiles inbound rules. The error joins all problems, each a
// *Problem.
func CompileInbound(rules []InboundRule) (*InboundPolicy, error) {
	c := compiler{names: make(map[string]int)}
	p := &InboundPolicy{}
	for i := range rules {
		p.rules = append(p.rules, c.inbound(&rules[i], i == len(rules)-1))
	}
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	p.attachments, p.header, p.fields = c.attachments, c.header, distinct(c.fields)
	p.groups = slices.ContainsFunc(p.rules, func(r inboundRule) bool { return len(r.groups) > 0 })
	return p, nil
}

// Empty reports whether there are no rules.
func (p *InboundPolicy) Empty() bool { return p == nil || len(p.rules) == 0 }

// Archives reports whether any rule archives originals.
func (p *InboundPolicy) Archives() bool {
	return p != nil && slices.ContainsFunc(p.rules, func(r inboundRule) bool { return r.form.Original == OriginalArchived })
}

// Tags reports whether any rule in force has mail tagged: then no other mail is.
func (p *InboundPolicy) Tags() bool {
	return p != nil && slices.ContainsFunc(p.rules, func(r inboundRule) bool { return r.action == Tag && !r.report })
}

// LooksAtAttachments reports whether any rule asks for Content.Attachments, which are
// not needed otherwise.
func (p *InboundPolicy) LooksAtAttachments() bool { return p != nil && p.attachments }

// LooksAtHeader is Policy.LooksAtHeader for inbound rules.
func (p *InboundPolicy) LooksAtHeader() bool { return p != nil && p.header }

// Notified returns the addresses that rules name for notices of quarantine.
func (p *InboundPolicy) Notified() []address.Address {
	if p == nil {
		return nil
	}
	var all []address.Address
	for _, r := range p.rules {
		all = append(all, r.notify...)
	}
	return all
}

func (c *compiler) inbound(in *InboundRule, last bool) inboundRule {
	c.at = Problem{Table: "inbound_rule", Rule: in.Name, Line: in.Line}
	r := inboundRule{
		rule: rule{
			name: in.Name, line: in.Line,
			sender:          c.patterns("sender", in.Sender),
			exceptSender:    c.patterns("except_sender", in.ExceptSender),
			recipient:       c.patterns("recipient", in.Recipient),
			exceptRecipient: c.patterns("except_recipient", in.ExceptRecipient),
			conditions:      append(c.conditions(in.asReceived()), c.found(in)...),
			groups:          c.groupConditions(in.asReceived()),
			report:          word(c, "mode", in.Mode, modes),
		},
		action: word(c, "on_result", in.OnResult, actionWords),
		plain:  in.Encrypted == "no",
		judges: in.judges(),
		form: Form{
			Layers:   word(c, "deliver", in.Deliver, layerWords),
			Strip:    word(c, "strip_signature", in.StripSignature, stripWords),
			Original: word(c, "original", in.Original, originalWords),
		},
	}
	if r.form.Strip != StripNever && r.form.Layers != Readable {
		c.problem("strip_signature", `has an effect only with deliver = "readable"; remove it`)
	}
	if r.form.Original != OriginalGone && r.form.Layers == AsIs {
		c.problem("original", `has no effect with deliver = "as-is"; remove it`)
	}
	if r.action == Tag && r.form.Layers == AsIs {
		c.problem("on_result", `"tag" changes the subject, and deliver = "as-is" changes nothing; remove one of them`)
	}
	c.name(in.Name, in.Line)
	c.notified(in, &r)
	if !last && r.unconditional() {
		c.problem("", "matches every message, so the rules below it are never used; add a condition or move it to the end")
	}
	return r
}

// judges reports whether there are conditions on what a signature is worth, and not only on
// whether there is one.
func (r *InboundRule) judges() bool {
	for _, k := range foundKinds {
		if yes, except := k.list(r); len(yes)+len(except) > 0 {
			return true
		}
	}
	return false
}

// asReceived has the conditions on the message as it came.
func (r *InboundRule) asReceived() *Rule {
	return &Rule{
		Network: r.Network, ExceptNetwork: r.ExceptNetwork, Listener: r.Listener, ExceptListener: r.ExceptListener,
		From: r.From, ExceptFrom: r.ExceptFrom, Header: r.Header, ExceptHeader: r.ExceptHeader,
		Subject: r.Subject, ExceptSubject: r.ExceptSubject, Attachment: r.Attachment, ExceptAttachment: r.ExceptAttachment,
		LargerThan: r.LargerThan, SmallerThan: r.SmallerThan,
		RecipientGroup: r.RecipientGroup, ExceptRecipientGroup: r.ExceptRecipientGroup,
	}
}

// found compiles the conditions on what was found.
func (c *compiler) found(r *InboundRule) []condition {
	var all []condition
	for _, k := range foundKinds {
		yes, except := k.list(r)
		all = append(all, c.both(k.key, true, k.compile, yes, except)...)
	}
	state := func(key, value string, get func(*Found) answer) {
		wanted := word(c, key, value, yesNo)
		if value == "" {
			return
		}
		all = append(all, condition{late: true, except: !wanted, holds: func(v *view) answer { return get(&v.facts.Found) }})
	}
	state("signed", r.Signed, func(f *Found) answer { return f.of(f.Signed) })
	state("encrypted", r.Encrypted, func(f *Found) answer { return is(f.Encrypted).orMaybe(f.unopened) })
	return all
}

// notified reads notify.
func (c *compiler) notified(in *InboundRule, r *inboundRule) {
	if len(in.Notify) > 0 && r.action != Quarantine {
		if !slices.Equal(in.Notify, []string{NotifyRecipient}) {
			c.problem("notify", `has an effect only with on_result = "quarantine"; remove it`)
		}
		return
	}
	for _, s := range in.Notify {
		if s == NotifyRecipient {
			r.toRecipient = true
			continue
		}
		a, err := address.Parse(s)
		if err != nil {
			c.problem("notify", "%q is neither an address nor %q; write one of them", s, NotifyRecipient)
			continue
		}
		r.notify = append(r.notify, a)
	}
}
