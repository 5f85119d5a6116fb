package enforce

// Rule is a rule as written: data, with the words of the configuration file.
type Rule struct {
	Name string
	Line int // where it stands in its file, for messages; 0 if unknown

	// Conditions: all that are given must hold. See Patterns.
	Direction       string // "outbound", "inbound" or "" for both
	Sender          []string
	ExceptSender    []string
	Recipient       []string
	ExceptRecipient []string

	// Sign and Encrypt are "require", "prefer" or "never"; "" is "never".
	Sign    string
	Encrypt string
	// NoCertificate is "reject" (the default), "reject-message" or "strip", for
	// encrypt = "require".
	NoCertificate string
	// Unavailable is "defer" (the default) or "plain", for encrypt = "prefer".
	Unavailable string
	// Mixed is "forbid" (the default) or "allow": whether a text that this rule
	// encrypts may go to other recipients in the clear.
	Mixed string
	// Profile names the algorithms; "" is "default".
	Profile string
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
)

var (
	wants      = map[string]want{"": never, "never": never, "prefer": prefer, "require": require}
	onMissings = map[string]onMissing{"": reject, "reject": reject, "reject-message": rejectMessage, "strip": strip}
	plains     = map[string]bool{"": false, "defer": false, "plain": true}
	allows     = map[string]bool{"": false, "forbid": false, "allow": true}
	directions = map[string]Direction{"": "", "outbound": Outbound, "inbound": Inbound}
)

// rule is a compiled Rule.
type rule struct {
	name      string
	line      int
	direction Direction // "" for both

	sender, exceptSender       *Patterns // nil: not a condition
	recipient, exceptRecipient *Patterns

	sign, encrypt want
	missing       onMissing
	plain         bool // encrypt is preferred, and Unknown may go in the clear
	mixed         bool
	profile       string
}

// matches reports whether all conditions hold for a recipient.
func (r *rule) matches(f *Facts, to *RecipientFacts) bool {
	return (r.direction == "" || r.direction == f.Direction) &&
		(r.recipient == nil || r.recipient.Match(to.Address)) &&
		(r.exceptRecipient == nil || !r.exceptRecipient.Match(to.Address)) &&
		(r.sender == nil || r.sender.Match(f.Sender)) &&
		(r.exceptSender == nil || !r.exceptSender.Match(f.Sender))
}

// unconditional reports whether the rule matches everything.
func (r *rule) unconditional() bool {
	return r.direction == "" && r.sender == nil && r.exceptSender == nil &&
		r.recipient == nil && r.exceptRecipient == nil
}
