// Package enforce is the policy: rules and facts go in, a plan comes out. It is
// a pure function: no network, no files, no clock; it imports nothing that does
// I/O, so that every decision can be repeated and explained.
package enforce

import (
	"net/netip"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Direction tells which rules judge a recipient: those for mail that leaves, or
// those for mail that enters.
type Direction string

// The directions.
const (
	Outbound Direction = "outbound"
	Inbound  Direction = "inbound"
)

// Availability is what is known of a certificate or an identity: three ways,
// never two. The zero value is Unknown.
type Availability int

// The states.
const (
	Unknown   Availability = iota // not known; never read as None
	None                          // there is none, or none usable
	Available                     // at least one is usable
)

// Fingerprint names a certificate by the SHA-256 of its DER encoding. The
// policy moves fingerprints, never certificates.
type Fingerprint [32]byte

// Facts is everything that a decision needs, as data.
type Facts struct {
	Direction Direction
	Client    Client
	Sender    address.Address   // envelope sender; may be address.Null
	From      []address.Address // mailboxes of the From field
	// Identity says whether an identity of the sender can sign now.
	Identity Availability
	// IdentityReason says why not, in words; IdentityNote what is unusual of the one that
	// can: it does not name the author.
	IdentityReason, IdentityNote string
	// Issuable says that an identity of the sender would be made for a rule that has
	// one made, and was not: the facts are for an explanation, or only rules in
	// report mode ask.
	Issuable bool
	// SignForbidden says why this client may not sign as From; "" if it may.
	// Trying again does not help, unlike with an Identity that is missing.
	SignForbidden string
	// SignExempt says why the message is not signed whatever the rule says; "" if the
	// rule decides.
	SignExempt string
	// SignUnknown says why it is unknown now whether this client may sign as
	// From; "" if it is known.
	SignUnknown string
	Content     Content
	// Triggers are what the sender asked for in the message; empty where the
	// client is not one whose wishes count.
	Triggers Triggers
	// Released says that an administrator lets the message, which was held for
	// want of a certificate, go without encryption.
	Released bool
	// Identities are those that rules name besides the sender's, by the word of
	// the rule; see Policy.Needs.
	Identities map[string]IdentityFacts
	// Further are the certificates that rules name besides the recipients', by
	// the address of the rule; "sender" is the sender's own.
	Further map[string]CertificateFacts
	// SenderGroups is what is known of the sender and the groups that rules name,
	// by GroupKey.
	SenderGroups map[string]MembershipFacts
	// AuthorGroups is the same for each of From, for Demands.
	AuthorGroups []map[string]MembershipFacts
	Recipients   []RecipientFacts
	// Found is what was found in an inbound message, for InboundPolicy.
	Found Found
	// Others is how many recipients the message had besides, when this is a
	// later decision on some of them.
	Others int
}

// IdentityFacts is what is known of an identity.
type IdentityFacts struct {
	State  Availability
	Reason string // why not
	Note   string // what is unusual of one that is Available
}

// CertificateFacts is what is known of the certificates of an address.
type CertificateFacts struct {
	State  Availability
	Usable []Fingerprint // set only when Available
	// Reason says in words a person understands why State is None or Unknown:
	// "expired 2026-03-01".
	Reason string
}

// Client is who handed the message in.
type Client struct {
	User     string // authenticated name, "" if none
	Addr     netip.Addr
	Listener string
}

// Content is what is known of a message from its header and body.
type Content struct {
	// Header has the unfolded and decoded values of all fields by their names in
	// lower case.
	Header map[string][]string
	// Unread are the fields, by the same names, of which some value cannot be read
	// for sure: it may say anything.
	Unread      map[string]bool
	Size        int // octets
	Attachments []Attachment
	// Calendar says that the message as a whole is a meeting request (RFC 6047);
	// CalendarWhy says in words why, or why not where it has one in it.
	Calendar    bool
	CalendarWhy string
	Signed      bool // it bears the S/MIME signature of its author already
	Encrypted   bool // it is S/MIME encrypted already, and nothing in it can be read
	// Doubt says why what looks signed or encrypted does not count as that; "" if
	// there is nothing to say.
	Doubt string
	// TooWeak names the profiles that do not accept the cipher of what is
	// encrypted already.
	TooWeak map[string]bool
	// Exempt says that it is a delivery report, read receipt or automatic reply
	// that brings nothing back; Report says that it is one, whatever it brings.
	Exempt, Report bool
}

// Attachment is a part of a message that is not its text.
type Attachment struct {
	MediaType string // lower case
	Name      string // file name, decoded; may be ""
	// Doubtful says that this is one of several readings: mail programs do not
	// agree on what the part is or how it is called. Unread says that it may be
	// called anything, or hold files of any name and type.
	Doubtful, Unread bool
}

// Triggers are a sender's wishes for one message.
type Triggers struct {
	Sign, Encrypt, Plain bool
	// Guessed says that a wish may be there and cannot be read for sure: Sign and
	// Encrypt are then what is wished for, Plain is not.
	Guessed bool
}

// RecipientFacts is what is known of one recipient.
type RecipientFacts struct {
	Address address.Address
	// Internal means of our own domains.
	Internal bool
	// Hidden means in the envelope and in neither To nor Cc.
	Hidden bool
	// Certificate is the outcome of the lookup.
	Certificate CertificateFacts
	// Reads says of a message that is encrypted already whether a certificate that
	// is known for the recipient is among those it is encrypted to; Unknown if none
	// is known.
	Reads Availability
	// Domain is the outcome for the domain certificate that the rule names.
	Domain CertificateFacts
	// DomainOf is whose certificate that is, as Needs.Domain names it.
	DomainOf string
	// Partner is what is agreed with its domain; nil if nothing is.
	Partner *Partner
	// Groups is what is known of the recipient and the groups that rules name, by
	// GroupKey.
	Groups map[string]MembershipFacts
	// Group says whether the address is that of a group, for rules that expand
	// groups.
	Group GroupFacts
	// Through are the groups in whose place the recipient stands, as a member.
	// Unnamed means that the envelope has the recipient by these only.
	Through []address.Address
	Unnamed bool
}

// GroupState is what is known of an address that may be a group's. The zero
// value is unknown.
type GroupState int

// The states. A group that has members is not among them: its members are
// recipients in its place.
const (
	GroupStateUnknown GroupState = iota
	NoGroup                      // the address is a mailbox, as far as is known
	EmptyGroup                   // it is a group without members
)

// GroupFacts is what is known of an address that may be a group's.
type GroupFacts struct {
	State  GroupState
	Asked  bool
	Reason string // why it is GroupStateUnknown
}
