package directory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/smime/address"
)

// LDAPConfig describes one LDAP directory. Zero values take the defaults below.
type LDAPConfig struct {
	// Name is "ldap:" and it in explanations.
	Name string
	// URLs are the servers, asked in this order until one answers: forms and
	// defaults are those of parseServer.
	URLs []string
	// BindDN and PasswordFile are for a simple bind; both "" is anonymous. The
	// file is read at every bind, so that a password can be changed.
	BindDN, PasswordFile string
	// External binds with SASL EXTERNAL instead: by the client certificate, or
	// over ldapi by the process's user.
	External bool
	// Base is where to search, unless the URL says it.
	Base string
	// Filter is a template: {addr}, {local} and {domain} stand for the
	// recipient, escaped.
	Filter string
	// Attributes hold certificates, the preferred first.
	Attributes []string
	// StartTLS upgrades ldap:// connections before anything else is said.
	StartTLS bool
	// CA is a PEM file with the only authorities that may have issued the
	// servers' certificates; "" is those of the system.
	CA string
	// ClientCertificate and ClientKey are PEM files.
	ClientCertificate, ClientKey string
	// Timeout bounds one operation on one server, connecting included.
	Timeout time.Duration
	// Connections bounds the connections to each server.
	Connections int
	// Members and Depth bound the expansion of a group.
	Members, Depth int
	// Nested is how groups in groups are followed when a member is looked for in
	// one: "auto" (the default), "chain" or "expand".
	Nested string
	// UserFilter is a template that finds the entry of the authenticated user: {user}
	// stands for the name, escaped. Empty: no user is looked up. UserAttributes
	// are what lists the addresses of the user.
	UserFilter     string
	UserAttributes []string
	// Aliases are attributes with further addresses of an entry: all of them, and
	// its mail, are one mailbox. None: an address is no alias of another.
	Aliases []string
	// Confidential refuses servers that are spoken to without TLS, but for sockets of this
	// host: those that are written to.
	Confidential bool
	// Resolver finds the servers of a domain; net.DefaultResolver unless set.
	Resolver Resolver
	// Clock is time.Now unless set.
	Clock func() time.Time
}

// Defaults of LDAPConfig.
const (
	defaultFilter      = "(|(mail={addr})(proxyAddresses=smtp:{addr}))"
	defaultLDAPTimeout = 2 * time.Second
	defaultConnections = 4
	defaultMembers     = 1000
	defaultDepth       = 10
)

// defaultAttributes returns where certificates are, the richest first: RFC 2798
// section 2.8, RFC 4523 section 4.1.
func defaultAttributes() []string {
	return []string{"userSMIMECertificate", "userCertificate;binary", "userCertificate"}
}

// LDAP is a Source that searches LDAP servers (RFC 4511). It may be used
// by many goroutines at once.
type LDAP struct {
	Plain

	name        string
	servers     []servers
	filter      *filterTemplate
	attributes  []string // as asked for
	bases       []string // their base names, each once
	members     int
	depth       int
	nested      string
	isAD        atomic.Pointer[bool] // nil: not known yet
	userFilter  *filterTemplate      // nil: no user is looked up
	userLists   []string
	aliasFilter *filterTemplate // nil: no entry has aliases
	aliases     []string
}

// NewLDAP returns an LDAP source, or says everything that is wrong with cfg. It
// does not connect: a directory that is down must not keep the gateway down.
func NewLDAP(cfg LDAPConfig) (*LDAP, error) {
	setLDAPDefaults(&cfg)
	var errs []error
	filter, err := parseFilter(cfg.Filter)
	errs = append(errs, wrong("filter", err, "write one such as (mail={addr}), with as many ) as ("))
	userFilter, err := parseUserFilter(cfg.UserFilter)
	errs = append(errs, wrong("user_filter", err, "write one such as (uid={user}), with as many ) as ("))
	if err := checkBase(cfg.Base); err != nil {
		errs = append(errs, wrong("base", err, `write one such as "dc=example,dc=com"`))
	}
	aliasFilter, err := aliasFilter(cfg.Aliases)
	errs = append(errs, err)
	dialer, problems := newDialer(cfg)
	errs = append(errs, problems...)
	if len(cfg.URLs) == 0 {
		errs = append(errs, wrong("urls", errors.New("no server"), "set at least one url"))
	}
	l := &LDAP{name: "ldap:" + cfg.Name, filter: filter, attributes: cfg.Attributes, members: cfg.Members, depth: cfg.Depth,
		bases: baseNames(cfg.Attributes), nested: cfg.Nested, userFilter: userFilter, userLists: cfg.UserAttributes,
		aliasFilter: aliasFilter, aliases: cfg.Aliases}
	for i, url := range cfg.URLs {
		target, err := parseServer(url, cfg)
		if err != nil {
			errs = append(errs, &OptionError{"urls", i, err, `write one server, such as "ldaps://dc1.example.com"; each server is an item of its own`})
			continue
		}
		if cfg.Confidential && !target.confidential(cfg.StartTLS) {
			errs = append(errs, &OptionError{"urls", i, fmt.Errorf("url %q: without TLS the password, and what is written, can be read and changed on the way", url), "use ldaps:// or start_tls"})
		}
		l.servers = append(l.servers, newServers(target, dialer, cfg))
	}
	if err := joinNamed(l.name, errs); err != nil {
		return nil, err
	}
	return l, nil
}

// baseNames returns the base names of attributes, each once.
func baseNames(attributes []string) (bases []string) {
	for _, name := range attributes {
		if base := baseName(name); !slices.Contains(bases, base) {
			bases = append(bases, base)
		}
	}
	return bases
}

// joinNamed joins errors that all begin with a source's name.
func joinNamed(name string, errs []error) error {
	var named []error
	for _, err := range errs {
		if err != nil {
			named = append(named, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(named...)
}

func setLDAPDefaults(cfg *LDAPConfig) {
	if cfg.Filter == "" {
		cfg.Filter = defaultFilter
	}
	if len(cfg.Attributes) == 0 {
		cfg.Attributes = defaultAttributes()
	}
	if cfg.Nested == "" {
		cfg.Nested = nestedAuto
	}
	if len(cfg.Aliases) > 0 {
		cfg.Aliases = append([]string{attrMail}, slices.DeleteFunc(slices.Clone(cfg.Aliases), isMail)...)
	}
	if len(cfg.UserAttributes) == 0 {
		cfg.UserAttributes = defaultUserAttributes()
	}
	setDefault(&cfg.Timeout, defaultLDAPTimeout)
	setDefault(&cfg.Connections, defaultConnections)
	setDefault(&cfg.Members, defaultMembers)
	setDefault(&cfg.Depth, defaultDepth)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
}

// Name returns "ldap:" and the configured name.
func (l *LDAP) Name() string { return l.name }

// Close closes all connections. Operations under way end with an error.
func (l *LDAP) Close() error {
	for _, s := range l.servers {
		s.close()
	}
	return nil
}

func (l *LDAP) groups() groupSource { return l }

// Find returns the certificates of addr's entries. When the servers gave only
// some of the entries, the certificates come with an error.
func (l *LDAP) Find(ctx context.Context, addr address.Address) (Finding, error) {
	result, err := l.search(ctx, l.byAddress(addr, l.attributes...))
	if result == nil {
		return Finding{}, err
	}
	finding := l.read(result.Entries)
	for _, failed := range result.failed {
		finding.note("answered by another server: %v", failed)
	}
	if len(result.Referrals) > 0 {
		finding.Notes = append(finding.Notes, fmt.Sprintf("referrals not followed: %q", result.Referrals))
	}
	return finding, err
}

// byAddress searches for the entries of an address.
func (l *LDAP) byAddress(addr address.Address, attributes ...string) func(*server) *ldap.SearchRequest {
	return func(s *server) *ldap.SearchRequest {
		filter := l.filter
		if s.target.filter != nil {
			filter = s.target.filter
		}
		return s.request(s.target.base, s.target.scope, filter.expand(addr),
			append([]string{attrObjectClass, attrControl}, attributes...))
	}
}

var errNoServer = errors.New("no server found")

// answer is what one server answered.
type answer struct {
	*ldap.SearchResult
	// failed are the errors of the servers that were asked before.
	failed []error
}

// search asks one server after the other until one answers. Every error is kept:
// the last server's alone would hide why the first did not answer, and one that
// fails behind a server that answers would not be noticed before both fail.
func (l *LDAP) search(ctx context.Context, request func(*server) *ldap.SearchRequest) (*answer, error) {
	var errs []error
	for _, set := range l.servers {
		list, err := set.list(ctx)
		if err != nil {
			errs = append(errs, err)
		}
		for _, s := range list {
			result, err := s.search(ctx, request(s))
			if err == nil {
				return &answer{result, errs}, nil
			}
			err = withRemedy(fmt.Errorf("%s: %w", s.target.url, err))
			if ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) {
				// The entries that came are good, and not all there are.
				return &answer{result, errs}, err
			}
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return nil, errNoServer // it must not look like an answer
	}
	return nil, errors.Join(errs...)
}

// readPassword returns the contents of a password file without the line end.
func readPassword(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	password := file.SecretText(text)
	if password == "" {
		// A simple bind without a password is an anonymous one that looks like
		// success (RFC 4513 section 5.1.2).
		return "", fmt.Errorf("password file %q: empty", path)
	}
	return password, nil
}
