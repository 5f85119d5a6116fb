// Package gateway is the pipeline: it carries a message from a listener through
// lookup, decision and S/MIME to the hand-off. It knows all parts and holds no logic
// of theirs.
package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/background"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/relay/returnpath"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Config is everything that a Gateway needs to know. It is not changed.
type Config struct {
	// Hostname is the authserv-id of the results that we write (RFC 8601 section
	// 2.5) and the reporting MTA of our reports.
	Hostname string
	// Domains are ours, as patterns of package enforce: who is not of them is
	// reached by the outbound rules only, and mail that strangers hand to the relay
	// goes to them only.
	Domains []string
	// AllowRouted takes recipients whose address holds a route; see routed.
	AllowRouted bool
	// LocalPart is the rule by which addresses are compared.
	LocalPart address.LocalPart
	// Delimiters separate a mailbox from an extension
	// (address.Address.WithoutExtension); "" is none.
	Delimiters string
	// Postmaster is the author of reports and notices.
	Postmaster address.Address
	Listeners  []Listener

	Policy   *enforce.Policy
	Profiles map[string]Profile // must have those that the policy names
	// Directory finds recipients' certificates, Keys our identities. Checker
	// judges the signers of inbound mail.
	Directory directory.Finder
	// Groups knows groups and users; nil: none are known, and what depends on them is
	// unknown.
	Groups directory.Groups
	Keys   certs.Keys
	// SignFor says which identities sign; "" is ForAuthor.
	SignFor SignFor
	Checker certs.Checker
	// Roots are the trust anchors, for profiles with IncludeRoot.
	Roots []*x509.Certificate
	// Trusted returns the certificates of the configuration that an identifier names,
	// for signers whose message does not bring theirs; nil: there are none.
	Trusted func(cms.ID) []*x509.Certificate
	Inbound Inbound
	// InboundPolicy says what is done with inbound mail by what was found in it; nil
	// delivers all of it.
	InboundPolicy *enforce.InboundPolicy
	// Partners is what is agreed with other domains; nil: nothing is.
	Partners *enforce.Partners
	// Archive stores the message as it came, and returns how it is found again; nil: it
	// is sent to ArchiveTo, of our domains. One is needed where an inbound rule archives.
	Archive   func(*message.Message) (place string, err error)
	ArchiveTo address.Address
	// Learn receives what was found in each inbound message that goes on; nil:
	// it is dropped. It must not block.
	Learn func(*smime.Report)

	// Answered receives inbound messages that answer one of the gateway and bring
	// certificates; nil: they are dropped. It must not block.
	Answered func(Answer)
	// HidSubject reports whether the subject of one of the messages with these Message-IDs,
	// each in angle brackets, was hidden by encryption; nil knows of none.
	HidSubject func(ctx context.Context, messageIDs []string) (bool, error)
	// Ask says how recipients are asked for certificates.
	Ask Ask
	// Commands says how mail commands are answered.
	Commands Commands

	// Decided receives each decision; nil: they are only logged. It must not block.
	Decided func(Decision)

	// ReturnPath makes the envelope senders of mail that was encrypted when it came
	// in, and reads them when something comes back; nil leaves such mail its own.
	ReturnPath *returnpath.Path

	// Issuer makes identities that are missing; nil: none are made.
	Issuer Issuer
	// Challenges takes messages of certification authorities; nil: they are mail like any.
	Challenges Challenges

	// Entitlements say which clients may have mail signed in whose name; nil
	// leaves it to the listeners.
	Entitlements *enforce.Entitlements
	// Triggers are the ways in which senders can ask for a treatment.
	Triggers Triggers

	// Texts are the words of reports and notices; nil is the built-in English.
	Texts *dsn.Texts
	// Contact is whom senders may ask, in notices and behind refusals; "" is no one.
	Contact string

	// Exit reports whether a copy leaves by a next hop alone: see Outcome.ByNextHop. Nil
	// is of none.
	Exit func(relay.Delivery) bool

	// Hold is how long a message waits for certificates by no_certificate =
	// "hold"; 0 is five days.
	Hold time.Duration
	// Quarantine is how long an inbound message is kept in quarantine before it is
	// deleted; 0 is 14 days.
	Quarantine time.Duration
	// Lookups is how many lookups a message may have under way at once; 0 is 8.
	Lookups int
	Clock   func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil: nothing is logged
}

// Listener is what a Gateway knows of a listener: who comes in by it.
type Listener struct {
	Name string
	// Relay says that no MTA stands before us: no other server has decided whether
	// a recipient may be sent to.
	Relay bool
	// Direction is how recipients of our domains are judged: "outbound", "inbound",
	// or "auto", which is outbound for entitled clients and inbound for all others.
	// All other recipients are judged by the outbound rules, whatever it says.
	Direction string
	// Networks are those of entitled clients. Authenticated clients are entitled
	// too; and on a listener whose direction is "outbound" all clients of the MTA before
	// us are, when Networks is empty.
	Networks []netip.Prefix
	// Required is a field, "Name: value", that each message must have once. It is taken out.
	// "" asks for none.
	Required string
}

// Profile is a choice of algorithms; "" is the default of package smime.
type Profile struct {
	Digest       string
	Signature    string
	Cipher       string // "auto" is the default
	KeyTransport string
	DeriveKey    bool // binds the content key to the cipher (RFC 9709)
	// Keys are the kinds of keys that may sign and be encrypted to; none is all. See
	// smime.KeyKinds.
	Keys []string
	// Hybrid encrypts to all certificates of a recipient. Without it those with ML-KEM
	// keys alone are used where there are any.
	Hybrid bool
	// RecipientIdentifier is "ski", or "issuer" where it is anything else.
	RecipientIdentifier string
	// OmitAttributes are the words of smime.OmitAttributes.
	OmitAttributes []string
	// IncludeRoot sends the root with the chain of a signature, where it is one of Roots.
	IncludeRoot bool
	// Wrap is "triple" where what was encrypted is signed again, "message" where the
	// message is signed with its header, in itself.
	Wrap   string
	Opaque bool
	// ProtectSigned and ProtectEncrypted switch header protection on (RFC 9788),
	// for copies that are signed and for copies that are encrypted.
	ProtectSigned    bool
	ProtectEncrypted bool
	// LegacyDisplay repeats the subject that ProtectEncrypted hides at the top of the text.
	LegacyDisplay bool
	// The least that inbound mail must have, where an inbound rule names the
	// profile; see smime.Minimum.
	MinimumDigest        string
	MinimumRSA           int
	MinimumSignature     string
	MinimumCipher        string
	MinimumAuthenticated bool
	MinimumKeyTransport  string
}

// Inbound says what is done with inbound mail.
type Inbound struct {
	Verify, Decrypt bool
	// DecryptFor says for whom; "" is ForNamed.
	DecryptFor DecryptFor
	// Revocation overrides the Checker's mode where it is not "".
	Revocation certs.RevocationMode
	// AllowSHA1, AllowRSA1024 and AllowNoAttributes let signatures pass that are
	// refused otherwise: with SHA-1, with short keys, without signed attributes.
	AllowSHA1, AllowRSA1024, AllowNoAttributes bool
	// KeepSender leaves mail that was encrypted its envelope sender: then a server
	// behind the gateway reports to strangers.
	KeepSender bool
	// Tags are put before the subject of what is delivered.
	Tags Tags
	// Banner is the language of the banner above the text of what is delivered; "" is
	// none.
	Banner string
	// HMACKey authenticates the status for filters that have it, too; nil: no such field
	// is added.
	HMACKey []byte
	// CipherMail is what the names of CipherMail's fields begin with, X-CipherMail-Info
	// or X-Djigzo-Info: they are added, too, and removed from all mail; "" does neither.
	CipherMail string
}

// Gateway decides on messages and does what was decided. It is the one Handler.
type Gateway struct {
	Config
	domains   *enforce.Patterns
	below     *enforce.Patterns // the domains below ours
	listeners map[string]Listener
	prefetch  prefetch
	parsed    *cms.CertificateCache

	// What the last guards watch: enforce.Decide and smime.Encrypt, unless a test
	// has something worse.
	decide       func(*enforce.Policy, *enforce.Facts) enforce.Plan
	encrypt      func(*message.Message, []*x509.Certificate, smime.EncryptOptions) (*message.Message, error)
	encryptDraft func(*message.Draft, []*x509.Certificate, smime.EncryptOptions) (*message.Message, error)
}

// parsedCertificates is how much DER of certificates seen in mail is kept
// parsed: about a thousand of them.
const parsedCertificates = 1 << 20

// New checks the parts against each other. The error joins all problems.
func New(c Config) (*Gateway, error) {
	var errs []error
	problem := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	problem(c.Hostname == "", "hostname: missing; it is needed for results and reports")
	problem(len(c.Domains) == 0, "domains: none; name the domains whose mail the gateway handles")
	problem(c.Policy == nil || c.Directory == nil || c.Keys == nil || c.Checker == nil, "gateway: policy, directory, keys and checker are all needed")
	domains, err := enforce.CompilePatterns(c.Domains)
	problem(err != nil, "domains: %w", err)
	below, err := enforce.CompilePatterns(subdomains(c.Domains))
	problem(err != nil, "domains: %w", err)
	if c.Policy != nil {
		for _, name := range c.Policy.Profiles() {
			_, ok := c.Profiles[name]
			problem(!ok && name != enforce.DefaultProfile, "profile: a rule names %q, which does not exist", name)
		}
	}
	for _, name := range c.Partners.Profiles() {
		_, ok := c.Profiles[name]
		problem(!ok && name != enforce.DefaultProfile, "profile: an agreement with a partner names %q, which does not exist", name)
	}
	problem(c.InboundPolicy.Archives() && c.Archive == nil && c.ArchiveTo.IsNull(), `inbound_rule: original = "archive" needs inbound.archive`)
	problem(domains != nil && !c.ArchiveTo.IsNull() && !domains.Match(c.ArchiveTo), "inbound.archive: %s is not of a local domain", c.ArchiveTo)
	problem(domains != nil && !c.Commands.Address.IsNull() && !domains.Match(c.Commands.Address), "mail_commands.address: %s is not of a local domain", c.Commands.Address)
	for _, a := range c.InboundPolicy.Notified() {
		// What decryption found must not get outside.
		problem(domains != nil && !domains.Match(a), "inbound_rule: notify: %s is not of a local domain", a)
	}
	g := &Gateway{Config: c, domains: domains, below: below, listeners: make(map[string]Listener),
		parsed: cms.NewCertificateCache(parsedCertificates), decide: enforce.Decide, encrypt: smime.Encrypt, encryptDraft: smime.EncryptDraft}
	for _, l := range c.Listeners {
		g.listeners[l.Name] = l
	}
	if g.Clock == nil {
		g.Clock = time.Now
	}
	if g.Log == nil {
		g.Log = slog.New(slog.DiscardHandler)
	}
	if g.Lookups <= 0 {
		g.Lookups = 8
	}
	if g.Hold <= 0 {
		g.Hold = 5 * 24 * time.Hour
	}
	if g.Ask.From.IsNull() {
		g.Ask.From = g.Postmaster
	}
	if g.Quarantine <= 0 {
		g.Quarantine = 14 * 24 * time.Hour
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g.prefetch = prefetch{background.New(g.Log, "lookup ahead of the message"), g.Directory, make(chan struct{}, maxPrefetch)}
	return g, nil
}

// subdomains returns patterns for what is below the domains of other patterns.
func subdomains(patterns []string) []string {
	var below []string
	for _, p := range patterns {
		domain := p[strings.LastIndexByte(p, '@')+1:]
		if !strings.HasPrefix(domain, ".") && !strings.ContainsAny(domain, "*?<") {
			below = append(below, "."+domain)
		}
	}
	return below
}

// Close ends what a Gateway does beside the messages in hand, and waits for it.
func (g *Gateway) Close() { g.prefetch.Close() }

var _ relay.Handler = (*Gateway)(nil)

// own reports whether an address is of one of our domains.
func (g *Gateway) own(a address.Address) bool { return !a.IsNull() && g.domains.Match(a) }

// lookup asks the directory for a recipient's certificate.
func (g *Gateway) lookup(ctx context.Context, a address.Address) directory.Result {
	return g.Directory.Lookup(ctx, a)
}
