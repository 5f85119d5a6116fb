// Package service runs the gateway: it builds the parts that a configuration
// describes, opens the listeners, exchanges the parts when the configuration is
// reloaded, and drains at the end.
package service

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/acme"
	"github.com/smimerelay/smimerelay/certs/enrol/folder"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/certs/token"
	"github.com/smimerelay/smimerelay/console/openid"
	"github.com/smimerelay/smimerelay/directory"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/relay/harvest"
	"github.com/smimerelay/smimerelay/relay/nexthop"
	"github.com/smimerelay/smimerelay/relay/smtpd"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Parts are what a configuration describes, ready to work: everything but the
// listeners and the queue. A reload makes new ones.
type Parts struct {
	Config    *config.Config
	Policy    *enforce.Policy
	Keys      certs.Keys
	Validator *path.Validator
	Directory *directory.Directory
	Gateway   *gateway.Gateway
	OpenID    *openid.Provider // nil where the configuration has none
	Anchors   int              // how many trust anchors there are

	harvester *harvest.Harvester // nil unless serving
	store     *sharedStore
	trusted   storedTrust             // what of the store the validator knows
	files     *certs.FileKeys         // those of Keys that are in files
	tokens    []*token.Keys           // those in tokens
	skipped   config.Problems         // certificates that could not be read
	tls       map[string]*listenerTLS // by listener
	passwords smtpd.Passwords         // nil: no client can log in
	routes    routes
	closers   []func() error      // of what the validator and providers of certificates use
	lists     []namedList         // the revocation lists in files
	fetcher   *revocation.Fetcher // of revocation information; nil where none is fetched
	// outdatedRoots says that the list of public authorities should be replaced.
	outdatedRoots bool

	authorities *Authorities    // our own; nil where there are none
	enroller    *enrol.Enroller // nil where no certificates are ordered
	folders     []*folder.Folder
	responder   *acme.Responder // nil where no CA sends messages

	publishes map[string]*enforce.Patterns // whose certificates a [[publish]] is for, by its name
	entries   map[string]*userEntries      // where one to a directory writes, by its name
	clock     func() time.Time
}

// Close frees what the parts hold. They must not be in use.
func (p *Parts) Close() error {
	if p.Gateway != nil {
		p.Gateway.Close()
	}
	if p.harvester != nil {
		p.harvester.Close()
	}
	var errs []error
	if p.Directory != nil {
		errs = append(errs, p.Directory.Close())
	}
	errs = append(errs, p.routes.close()...)
	if p.OpenID != nil {
		errs = append(errs, p.OpenID.Close())
	}
	for _, t := range p.tokens {
		t.Close()
	}
	for _, c := range p.closers {
		errs = append(errs, c())
	}
	if p.store != nil {
		errs = append(errs, p.store.release())
	}
	return errors.Join(errs...)
}

// Load reads the file at path and builds its parts: it opens files and, of
// connections, only those to the store. The problems are all that is wrong, and
// Parts is then nil.
func Load(path string, clock func() time.Time, log *slog.Logger) (*Parts, config.Problems) {
	c, problems := config.Load(path)
	if c == nil {
		return nil, problems
	}
	return build(c, problems, setting{clock: clock, log: log, hidSubject: hidInHistory(c)})
}

// setting is in what parts are built.
type setting struct {
	clock func() time.Time
	log   *slog.Logger
	// serving: what is missing and can be made is made.
	serving bool
	// before are the parts in use, whose store is used on; nil at the start.
	before *Parts
	// decided receives the decisions; nil where nothing is recorded.
	decided func(gateway.Decision)
	// hidSubject looks for messages in what was recorded.
	hidSubject func(context.Context, []string) (bool, error)
	// asked reports whether a recipient was asked for a certificate by a message; nil where
	// no answers are learned from.
	asked func(ctx context.Context, a address.Address, messageID string) (bool, error)
	// allow counts a mail command of a member, and reports whether one in so many an hour is
	// answered; fates is gateway.Commands.Fates. Nil where nothing is served.
	allow func(member address.Address, perHour int) bool
	// uncount undoes an allow whose command is deferred.
	uncount func(member address.Address)
	fates   func(ctx context.Context, member address.Address, messageID string) ([]dsn.Fate, bool, error)
	// countToken counts the operations of tokens; nil counts nothing.
	countToken func(token, operation, result string)
	// storeTimeout bounds one question to the store; 0 is defaultStoreTimeout.
	storeTimeout time.Duration
}

// build builds the parts of a configuration, adding to the problems that are known of it.
func build(c *config.Config, known config.Problems, in setting) (*Parts, config.Problems) {
	b := &builder{setting: in, config: c, known: known, problems: known, parts: &Parts{
		Config: c, tls: map[string]*listenerTLS{}, clock: in.clock,
	}}
	b.parts.routes.hops = map[string]*nexthop.NextHop{}
	b.hostname()
	b.policy()
	b.inbound = b.inboundPolicy()
	b.partners = b.agreements()
	b.entitled = b.entitlements()
	b.texts = b.readTexts()
	if b.store(); b.parts.store != nil {
		b.keys()
		b.validator()
		b.directory()
	}
	b.outbound()
	b.certificatesTLS()
	b.consoleTLS()
	b.openID()
	b.publishes()
	b.publishEntries()
	b.passwords()
	b.harvester()
	b.questions = b.ask()
	if len(b.problems) == 0 {
		b.gateway()
	}
	if len(b.problems) > 0 {
		if err := b.parts.Close(); err != nil {
			b.complain("", "close: "+err.Error(), "")
		}
		return nil, b.problems.InOrder()
	}
	return b.parts, nil
}

// builder makes Parts, noting all problems.
type builder struct {
	setting
	config     *config.Config
	known      config.Problems // found before us
	problems   config.Problems
	parts      *Parts
	name       string // our host name
	anchors    []*x509.Certificate
	inbound    *enforce.InboundPolicy
	partners   *enforce.Partners
	entitled   *enforce.Entitlements
	texts      *dsn.Texts
	responders map[string]acme.ResponderEnrolment
	// questions are how recipients are asked for certificates.
	questions gateway.Ask
	dns       *dns.Lookup // once it was needed
}

func (b *builder) complain(key, text, remedy string) {
	b.problems = append(b.problems, b.config.Problem(key, text, remedy))
}

// complainOf reports an error whose text may name the remedy behind a semicolon; if it does
// not, remedy is it.
func (b *builder) complainOf(key, text, remedy string) {
	text, own, _ := strings.Cut(text, "; ")
	b.complain(key, text, cmp.Or(own, remedy))
}

// pattern is how addresses are matched, in remedies.
const pattern = "write an address, a domain, .domain for its subdomains, or a glob"

// hostname fills in what the configuration leaves to the host.
func (b *builder) hostname() {
	b.name = b.config.Hostname
	if b.name != "" {
		return
	}
	name, err := os.Hostname()
	if err != nil {
		b.complain("hostname", "no host name: "+err.Error(), "write one")
		return
	}
	if _, err := address.Parse("x@" + name); err != nil {
		b.complain("hostname", "the name of the host cannot be used: "+err.Error(), "write one")
		return
	}
	b.name = name
}

// domains are those of the configuration, or the domain that the host is in.
func (b *builder) domains() []string {
	if len(b.config.Domains) > 0 {
		return b.config.Domains
	}
	if _, domain, ok := strings.Cut(b.name, "."); ok && strings.Contains(domain, ".") {
		return []string{domain}
	}
	return []string{b.name}
}

func (b *builder) localPart() address.LocalPart {
	if b.config.LocalPart == "exact" {
		return address.ExactCase
	}
	return address.IgnoreCase
}

// gateway joins the parts. Its problems are about the whole file.
func (b *builder) gateway() {
	c := b.config
	postmaster, err := address.Parse("postmaster@" + b.name)
	if c.Postmaster != "" {
		postmaster, err = address.Parse(c.Postmaster)
	}
	if err != nil {
		b.complain("postmaster", err.Error(), "write an address")
		return
	}
	gc := gateway.Config{
		Hostname: b.name, Domains: b.domains(), AllowRouted: c.Routed, LocalPart: b.localPart(), Delimiters: c.Delimiter, Postmaster: postmaster,
		Policy: b.parts.Policy, Profiles: map[string]gateway.Profile{},
		Directory: b.parts.Directory, Groups: b.parts.Directory, Keys: b.parts.Keys, SignFor: gateway.SignFor(c.Identities.SignFor), Checker: b.parts.Validator, Trusted: b.parts.Validator.Held,
		Inbound: gateway.Inbound{
			Verify: c.Inbound.Verify, Decrypt: c.Inbound.Decrypt,
			DecryptFor: gateway.DecryptFor(c.Inbound.DecryptFor), Revocation: certs.RevocationMode(c.Inbound.Revocation),
			AllowSHA1: c.Trust.AllowSHA1, AllowRSA1024: c.Trust.AllowRSA1024, AllowNoAttributes: c.Trust.AllowNoAttributes,
			KeepSender: c.Inbound.ReturnPath == "sender",
			Tags:       b.tags(),
			Banner:     b.banner(),
			HMACKey:    b.hmacKey(), CipherMail: c.Inbound.CipherMail,
		},
		InboundPolicy: b.inbound, Partners: b.partners, Quarantine: c.Queue.Quarantine,
		Archive: b.archive(), ArchiveTo: b.archiveTo(),
		ReturnPath:   b.returnPath(),
		Triggers:     gateway.Triggers(c.Triggers),
		Issuer:       b.issuer(),
		Entitlements: b.entitled,
		Texts:        b.texts,
		Exit:         b.parts.routes.exit,
		Hold:         c.Queue.HoldLifetime,
		Roots:        b.anchors,
		Clock:        b.clock, Log: b.log,
	}
	gc.Challenges = b.challenges() // of the tables that the issuer read
	gc.Contact, gc.Ask, gc.Commands = c.Notices.Contact, b.questions, b.commands()
	gc.Ask.ReturnPath = b.questionPath()
	if c.History.Keep > 0 {
		gc.Decided, gc.HidSubject = b.decided, b.hidSubject
	}
	if b.parts.harvester != nil {
		gc.Learn = b.parts.harvester.Message
		if b.asked != nil {
			gc.Answered = b.answered
		}
	}
	for name, p := range c.Profiles {
		gc.Profiles[name] = gateway.Profile(p)
	}
	for _, l := range c.Listeners {
		gc.Listeners = append(gc.Listeners, gateway.Listener{
			Name: l.Name, Relay: l.Protocol == "smtp" && !l.ForThisHost(), Direction: l.Direction, Networks: networks(l.Networks),
			Required: l.Required,
		})
	}
	if len(b.problems) > 0 {
		return
	}
	g, err := gateway.New(gc)
	for _, e := range fault.Each(err) {
		b.complain("", e.Error(), "")
	}
	b.parts.Gateway = g
}

// networks parses what the configuration has checked.
func networks(texts []string) []netip.Prefix {
	var list []netip.Prefix
	for _, t := range texts {
		if p, err := netip.ParsePrefix(t); err == nil {
			list = append(list, p)
		}
	}
	return list
}
