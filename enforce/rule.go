package enforce

// Rule is a rule as written: data, with the words of the configuration file.
type Rule struct {
	Name string
	Line int // where it stands in its file, for messages; 0 if unknown

	// Conditions: all that are given must hold, and none of their "except"
	// twins. Those above the line can be judged when a recipient is named.
	Direction                      string   // "outbound", "inbound" or "" for both
	Sender, ExceptSender           []string // see Patterns
	Recipient, ExceptRecipient     []string // see Patterns
	SenderGroup, ExceptSenderGroup []string // groups of the directory, see GroupKey
	// RecipientGroup and its twin are groups of the directory, see GroupKey.
	RecipientGroup, ExceptRecipientGroup []string
	User, ExceptUser                     []string // globs of authenticated names
	Network, ExceptNetwork               []string // CIDR, of the client
	Listener, ExceptListener             []string // globs of names
	From, ExceptFrom                     []string // see Patterns; the authors, where Sender is the envelope's
	Header, ExceptHeader                 []string // "Name", "Name: value", "Name ~ RE2"
	Subject, ExceptSubject               []string // keywords anywhere in it, whatever their case
	Sensitivity, ExceptSensitivity       []string // values, whatever their case
	Importance, ExceptImportance         []string // values, whatever their case
	Attachment, ExceptAttachment         []string // globs of file names, or of types if they have a "/"
	Signed, Encrypted                    string   // "yes", "no": the message is so already
	LargerThan, SmallerThan              int      // octets; 0 is no condition
	MoreRecipients, FewerRecipients      int      // than this; 0 is no condition

	// GroupUnknown is what the conditions on groups take for granted where the
	// directory cannot tell: "defer" (the default) is nothing, "member", "other".
	GroupUnknown string
	// ExpandGroups puts the members of a group in the place of its address. Each
	// then goes through the rules as a recipient.
	ExpandGroups bool

	// Sign and Encrypt are "require", "prefer" or "never"; "" is "never".
	Sign    string
	Encrypt string
	// NoCertificate is "reject" (the default), "reject-message", "strip", "hold" or
	// "ask", for encrypt = "require". "ask" holds, and the recipient may be asked.
	NoCertificate string
	// Unavailable is "defer" (the default) or "plain", for encrypt = "prefer".
	Unavailable string
	// Mixed says whether a text that this rule encrypts may go to other recipients
	// in the clear: "internal" (the default) is to those of our own domains only,
	// "forbid" to none, "allow" to all.
	Mixed string
	// Profile names the algorithms; "" is "default".
	Profile string
	// UserControl are the triggers that a sender may use: "sign", "encrypt",
	// "plain".
	UserControl []string
	// FromAlignment is how closely From must match the envelope sender before a message is signed: "any"
	// (the default) is not at all, "domain", "address".
	FromAlignment string
	// Automatic is "pass" (the default) or "protect": whether reports, receipts
	// and automatic replies are left alone.
	Automatic string
	// AlreadySigned is "keep" (the default) or "sign": whether what is signed
	// already gets our signature too.
	AlreadySigned string
	// AlreadyEncrypted is "accept" (the default) or "check": whether what is
	// encrypted already is refused where it is not encrypted to a certificate that
	// is known for the recipient.
	AlreadyEncrypted string
	// Calendar is what to do with meeting requests: "" is as with all mail,
	// "sign", "encrypt", or "leave" for neither.
	Calendar string
	// Identity says who signs: "sender" (the default), "domain" (RFC 3183), or
	// an address.
	Identity string
	// Issue has our own authority make an identity for a sender that has none.
	Issue bool
	// DomainIdentity is who signs where the sender has no identity: "" is none,
	// "domain" (RFC 3183), or an address.
	DomainIdentity string
	// DomainCertificate is what serves where there is no personal certificate:
	// "" is nothing, "domain" (RFC 3183), or an address.
	DomainCertificate string
	// SenderCopy encrypts to the sender too, where there is a certificate.
	SenderCopy bool
	// AlsoEncryptTo are addresses whose certificates are always added, such as
	// that of an archive. Without one of them nothing is sent.
	AlsoEncryptTo []string
	// SubjectTag is put before the subject.
	SubjectTag string
	// Footer is added to the text of what leaves, FooterHTML where that is HTML;
	// "" is made from Footer.
	Footer, FooterHTML string
	// Mode is "enforce" (the default) or "report": decide and log, and change
	// nothing.
	Mode string
}

// DefaultRule is the name that the last rule must bear.
const DefaultRule = "default"

// DefaultProfile is the profile of a rule that names none.
const DefaultProfile = "default"

// want is how much a step is wanted.
type want int

const (
	never want = iota
	prefer
	require
)

// onMissing is what becomes of a recipient without a certificate.
type onMissing int

const (
	reject onMissing = iota
	rejectMessage
	strip
	hold
	ask
)

// mixture is who may have in the clear what is encrypted for others; more are
// larger.
type mixture int

const (
	mixedForbid mixture = iota
	mixedInternal
	mixedAllow
)

// agreement is how envelope sender and From must agree.
type agreement int

const (
	agreeAny agreement = iota
	agreeDomain
	agreeAddress
)

// calendar is what is done with meeting requests.
type calendar int

const (
	calendarAsAll calendar = iota
	calendarSign
	calendarEncrypt
	calendarLeave
)

var (
	wants      = map[string]want{"": never, "never": never, "prefer": prefer, "require": require}
	onMissings = map[string]onMissing{"": reject, "reject": reject, "reject-message": rejectMessage, "strip": strip, "hold": hold, "ask": ask}
	plains     = map[string]bool{"": false, "defer": false, "plain": true}
	mixtures   = map[string]mixture{"": mixedInternal, "forbid": mixedForbid, "internal": mixedInternal, "allow": mixedAllow}
	directions = map[string]Direction{"": "", "outbound": Outbound, "inbound": Inbound}
	agreements = map[string]agreement{"": agreeAny, "any": agreeAny, "domain": agreeDomain, "address": agreeAddress}
	automatics = map[string]bool{"": false, "pass": false, "protect": true}
	resigns    = map[string]bool{"": false, "keep": false, "sign": true}
	checks     = map[string]bool{"": false, "accept": false, "check": true}
	calendars  = map[string]calendar{"": calendarAsAll, "sign": calendarSign, "encrypt": calendarEncrypt, "leave": calendarLeave}
	modes      = map[string]bool{"": false, "enforce": false, "report": true}
	unsures    = map[string]Membership{"": MemberUnknown, "defer": MemberUnknown, "member": Member, "other": NotMember}
	yesNo      = map[string]bool{"": false, "no": false, "yes": true}
)

// rule is a compiled Rule.
type rule struct {
	name string
	line int

	direction                  Direction // "" for both
	sender, exceptSender       *Patterns // nil: not a condition
	recipient, exceptRecipient *Patterns
	conditions                 []condition // the others, early ones first
	groups                     []groups    // judged after all others
	subjects                   []string    // of which one must be in the subject, folded; none if it may be any
	fields                     []fieldCondition
	unsure                     Membership // what groups with unknown members are taken for
	late                       bool       // some need header, body or directory
	expand                     bool

	sign, encrypt want
	missing       onMissing
	plain         bool // encrypt is preferred, and Unknown may go in the clear
	mixed         mixture
	profile       string
	control       Triggers // those that count
	agree         agreement
	automatic     bool // automatic messages are treated like others
	resign        bool
	checkReaders  bool // of what is encrypted already
	calendar      calendar
	report        bool
	steps         steps
}

// steps are the parts of a treatment that do not depend on the recipient.
type steps struct {
	identity          string // "", "domain" or an address key
	domainIdentity    string // likewise, where the sender has none
	issue             bool   // one that is missing is made
	domainCertificate string // as written
	senderCopy        bool
	also              string // address keys, joined by blanks
	tag               string
	footer            Footer
}

// view is what a rule looks at.
type view struct {
	facts             *Facts
	to                *RecipientFacts
	sender, recipient mailbox

	folded []string // see subjects; nil before it is first asked for
}

// subjects returns the subjects of the message, folded.
func (v *view) subjects() []string {
	if v.folded == nil {
		v.folded = []string{}
		for _, s := range v.facts.Content.Header["subject"] {
			v.folded = append(v.folded, folded(s))
		}
	}
	return v.folded
}

func newView(f *Facts, to *RecipientFacts) view {
	return view{facts: f, to: to, sender: newMailbox(f.Sender), recipient: newMailbox(to.Address)}
}

// matches says whether all conditions hold, but for those on groups; without
// late, those that need header or body are passed over.
func (r *rule) matches(v *view, late bool) answer {
	if r.direction != "" && r.direction != v.facts.Direction ||
		!r.recipient.holds(v.recipient) || !r.sender.holds(v.sender) ||
		r.exceptRecipient.excepts(v.recipient) || r.exceptSender.excepts(v.sender) {
		return no
	}
	result := yes
	for i := range r.conditions {
		if c := &r.conditions[i]; late || !c.late {
			if result = min(result, c.judge(v)); result == no {
				return no
			}
		}
	}
	return result
}

// unconditional reports whether the rule matches everything.
func (r *rule) unconditional() bool {
	return r.direction == "" && r.sender == nil && r.exceptSender == nil &&
		r.recipient == nil && r.exceptRecipient == nil && len(r.conditions) == 0 && len(r.groups) == 0
}

// wants returns what the rule wants of a message, with the wishes of the sender
// and the treatment of meeting requests.
func (r *rule) wants(f *Facts) (sign, encrypt want) {
	sign, encrypt = r.asked(f)
	if f.Released {
		encrypt = never
	}
	return sign, encrypt
}

// asked is what rule and sender want, before an administrator has a say.
func (r *rule) asked(f *Facts) (sign, encrypt want) {
	sign, encrypt = r.sign, r.encrypt
	if f.Content.Calendar {
		switch r.calendar {
		case calendarSign:
			return require, never
		case calendarEncrypt:
			return never, require
		case calendarLeave:
			return never, never
		}
	}
	if f.Triggers.Sign && r.control.Sign {
		sign = require
	}
	switch {
	case f.Triggers.Encrypt && r.control.Encrypt:
		encrypt = require
	case f.Triggers.Plain && r.control.Plain:
		encrypt = never
	}
	return sign, encrypt
}

// untouched reports whether the message passes as it is.
func (r *rule) untouched(f *Facts, to *RecipientFacts) bool {
	return r.sealed(f, to) || f.Content.Exempt && !r.automatic
}

// sealed reports whether the message is encrypted already as the profile of the
// rule accepts it.
func (r *rule) sealed(f *Facts, to *RecipientFacts) bool {
	return f.Content.Encrypted && !f.Content.TooWeak[r.profileFor(to)]
}

// profileFor is the profile of a recipient's copy: that of the rule, or where it names no
// particular one, that which is agreed with the domain.
func (r *rule) profileFor(to *RecipientFacts) string {
	if r.profile == DefaultProfile && to.Partner != nil && to.Partner.Profile != "" {
		return to.Partner.Profile
	}
	return r.profile
}

// domainCertificate is whose certificate serves where the recipient has none; "" is no
// one's.
func (r *rule) domainCertificate(to *RecipientFacts) string {
	if r.steps.domainCertificate == "" && to.Partner != nil {
		return to.Partner.Certificate
	}
	return r.steps.domainCertificate
}

// sealed reports whether the message passes as it is because it is encrypted
// already, whatever the rule.
func (p *Policy) sealed(f *Facts) bool {
	return f.Content.Encrypted && len(f.Content.TooWeak) == 0 && !p.checksReaders
}
